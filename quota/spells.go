package quota

import (
	"sync/atomic"
	"time"
)

// MaxSpells is how many spells of exceeding are watched at once; hosts that
// exceed beyond them are refused and reported all the same, but not announced.
// At some 130 bytes each that is 8 MB.
const MaxSpells = 65536

// Transition is the begin or the end of a spell of exceeding: from a key's
// first refusal until one whole window has passed without one.
type Transition struct {
	Key      Key       // the host, where Policy.Level is LevelHost
	Name     string    // whose requests they are, at any other level; clipped, and never a token
	Policy   *Policy   // that was exceeded; never nil
	Shadow   bool      // the policy only watches: nothing was refused
	Exceeded bool      // the spell began; false: it ended
	At       time.Time // when it was found: for an end up to a second late
	Since    time.Time // when the spell began
	Used     uint32    // of Quota, at the last refusal
	Quota    uint32    // at the last refusal
	Refused  uint64    // requests refused in the spell
	// Origins of the key's requests: of those since the last report at the
	// begin, and of those refused since.
	Origins Origin
}

// spell is a key's spell of exceeding. Its segment's lock guards it.
type spell struct {
	policy      *Policy // of the last refusal
	since, last int64   // first and last refusal, Unix ms
	refused     uint64
	used        uint32
	origins     Origin
}

// spellBook counts the spells of all segments.
type spellBook struct {
	live    atomic.Int64 // at most MaxSpells
	dropped atomic.Uint64
}

// refusal is what a spell has to know of a refused request.
type refusal struct {
	used    uint32 // in the window
	origins Origin // of the key
	first   bool   // in this window
}

// refuse enters a refusal of r's own window, and tells whether it began a
// spell. The segment is locked.
func (b *spellBook) refuse(r *request, f refusal) bool {
	s := r.segment
	sp, began := s.spells[r.key], false
	if sp == nil {
		if sp = b.begin(r, f); sp == nil {
			return false
		}
		began = true
	}
	sp.policy, sp.last, sp.used = r.policy, r.now, f.used
	sp.refused++
	sp.origins |= r.origin
	return began
}

// begin enters a new spell; nil if MaxSpells are on.
func (b *spellBook) begin(r *request, f refusal) *spell {
	if b.live.Add(1) > MaxSpells {
		b.live.Add(-1)
		if f.first {
			b.dropped.Add(1)
		}
		return nil
	}
	s := r.segment
	if s.spells == nil {
		s.spells = make(map[Key]*spell)
	}
	sp := &spell{since: r.now, origins: f.origins}
	s.spells[r.key] = sp
	return sp
}

// end takes the spells off s that are over at now, all of them where p is nil,
// and appends their ends to due. The segment is locked.
func (b *spellBook) end(s *segment, now int64, p *Policy, due []Transition) []Transition {
	for k, sp := range s.spells {
		sp.last = min(sp.last, now) // the clock may have been set back
		if p != nil && now-sp.last < p.millis() {
			continue
		}
		due = append(due, sp.transition(k, now))
		delete(s.spells, k)
		b.live.Add(-1)
	}
	if len(s.spells) == 0 {
		s.spells = nil // a map never shrinks
	}
	return due
}

// transition is sp as its end at now tells it.
func (sp *spell) transition(k Key, now int64) Transition {
	return Transition{
		Key: k, Policy: sp.policy, At: moment(now), Since: moment(min(sp.since, now)),
		Used: sp.used, Quota: sp.policy.Quota, Refused: sp.refused, Origins: sp.origins,
	}
}

// tell tells the begin of a spell, once no lock is held.
func (h *Hosts) tell(r *request, out *outcome) {
	if !out.began {
		return
	}
	at := moment(r.now)
	h.onTransition(Transition{
		Key: r.key, Policy: r.policy, Exceeded: true, At: at, Since: at,
		Used: out.Used, Quota: r.policy.Quota, Refused: 1, Origins: out.origins,
	})
}

// TellRecovered ends the spells of hosts that were not refused for one whole
// window, or all of them while the quota is off, and tells OnTransition so. Run
// does it every quarter of a window, at least once a second.
func (h *Hosts) TellRecovered() {
	if h.spells.live.Load() == 0 {
		return
	}
	now, policy := h.now(), h.Policy()
	var due []Transition
	for i := range h.table.segments {
		s := &h.table.segments[i]
		s.mu.Lock()
		due = h.spells.end(s, now, policy, due[:0])
		s.mu.Unlock()
		for _, t := range due {
			h.onTransition(t)
		}
	}
}

// recoveryPeriod is how often Run looks for recoveries: a quarter of a window,
// at most a second and, since a faster ticker costs more than it tells, at
// least 10 ms.
func (s *settings) recoveryPeriod() time.Duration {
	if s.policy == nil {
		return time.Second
	}
	return max(10*time.Millisecond, min(time.Second, s.policy.Window/4))
}
