package quota

import "sync/atomic"

// keySpell is a spell of exceeding of one key under one limit. Its shard's lock
// guards it.
type keySpell struct {
	policy      *Policy
	salt        uint64 // the limit's
	key         Key
	name        string
	shadow      bool
	since, last int64 // first and last refusal, Unix ms
	refused     uint64
	used        uint32
	origins     Origin
}

// keySpells counts the spells of all shards.
type keySpells struct {
	live    atomic.Int64 // at most MaxSpells
	dropped atomic.Uint64
}

// refuse enters a refusal and tells whether it began a spell; one that finds
// MaxSpells on begins none. The shard is locked.
func (b *keySpells) refuse(h *keyShard, st *Standing, r *PolicyRequest, now int64) (began bool) {
	tag := st.tag()
	sp := h.spells[tag]
	if sp == nil {
		if b.live.Add(1) > MaxSpells {
			b.live.Add(-1)
			b.dropped.Add(1)
			return false
		}
		if h.spells == nil {
			h.spells = map[uint64]*keySpell{}
		}
		sp = &keySpell{salt: st.limit.salt, key: r.Host, name: r.Name(st), since: now}
		if st.Policy.Level == LevelHost {
			sp.name = ""
		}
		h.spells[tag], began = sp, true
	}
	sp.policy, sp.shadow, sp.last, sp.used = st.Policy, st.Shadow, now, st.Used
	sp.origins |= r.Origin
	sp.refused++
	return began
}

// end takes the spells off h that are over at now, or whose limit is gone, and
// appends their ends to due. The shard is locked.
func (b *keySpells) end(h *keyShard, p *plan, now int64, due []Transition) []Transition {
	for tag, sp := range h.spells {
		sp.last = min(sp.last, now) // the clock may have been set back
		if l := p.limits[sp.salt]; l != nil && now-sp.last < l.window {
			continue
		}
		due = append(due, sp.transition(now, false))
		delete(h.spells, tag)
		b.live.Add(-1)
	}
	if len(h.spells) == 0 {
		h.spells = nil // a map never shrinks
	}
	return due
}

// transition is sp as its begin or end at now tells it.
func (sp *keySpell) transition(now int64, exceeded bool) Transition {
	t := Transition{
		Name: sp.name, Policy: sp.policy, Shadow: sp.shadow, Exceeded: exceeded,
		At: moment(now), Since: moment(min(sp.since, now)),
		Used: sp.used, Quota: sp.policy.Quota, Refused: sp.refused, Origins: sp.origins,
	}
	if sp.policy.Level == LevelHost {
		t.Key = sp.key
	}
	return t
}
