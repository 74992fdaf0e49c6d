package quota

import "time"

// Standing is where one applicable policy stands after a request.
type Standing struct {
	Decision
	// Shadow tells that the policy only watches: it refuses nothing.
	Shadow bool
	// Over tells that the request did not fit this policy: it is Refused, or,
	// of a policy in Shadow, would have been.
	Over bool

	group   *group
	limit   *limit
	hash    uint64 // the key's
	place   int32
	cost    uint32
	held    uint32 // used, even where a reload has lowered the quota under it
	charged bool
}

// KeyID tells the keys of one Level apart, as long as the process lives: what is
// worked out of a key may be kept by it. It is not to be shown to anybody.
func (s *Standing) KeyID() uint64 { return s.hash }

// Result is what became of a request. It is to be reused: it then allocates
// nothing.
type Result struct {
	// Limits are where all applicable policies stand, bucket by bucket, in the
	// order of the configuration. They are valid until the Result is used again.
	Limits   []Standing
	refusing int // index in Limits; -1 if the request was admitted
	told     []Transition
}

// Refusal is the decision by which the request was refused: of the policies that
// it violates the one with the longest wait, one that it never fits before all;
// nil if it was admitted.
func (r *Result) Refusal() *Standing {
	if r.refusing < 0 || r.refusing >= len(r.Limits) {
		return nil
	}
	return &r.Limits[r.refusing]
}

// Reset makes r a Result of no request.
func (r *Result) Reset() { r.Limits, r.told, r.refusing = r.Limits[:0], r.told[:0], -1 }

// Charge charges a request to every policy that applies to it, or, where it does
// not fit one that enforces, to none. A policy in Shadow that it does not fit is
// left out. Hits allocate nothing.
func (e *Engine) Charge(r *PolicyRequest, out *Result) {
	set := e.gather(r, out)
	if set == 0 {
		return
	}
	e.store.lock(set)
	now := e.now() // locked, so that a key's requests are in the order of their times
	ok := e.assess(out, now)
	for i := 0; i < len(out.Limits); {
		i = e.conclude(r, out, run{i, now, ok})
	}
	e.store.unlock(set)
	out.choose()
	out.count()
	for i := range out.told {
		e.onTransition(out.told[i])
	}
}

// gather fills out with the limits that apply to r, and gives the set of the
// shards that hold them.
func (e *Engine) gather(r *PolicyRequest, out *Result) (set uint64) {
	out.Reset()
	p := e.plan.Load()
	for _, g := range p.classes[min(int(r.Class), len(p.classes)-1)] {
		hash, ok := e.hasher.hash(r, g)
		if !ok {
			continue
		}
		set |= 1 << shardOf(hash)
		cost := r.cost(g.class)
		for _, l := range g.limits {
			out.Limits = append(out.Limits, Standing{
				Decision: Decision{Policy: l.policy}, group: g, limit: l, hash: hash, cost: cost,
			})
		}
	}
	return set
}

// assess takes a place for every limit and reads it; false if one that enforces
// has no room. The shards are locked.
func (e *Engine) assess(out *Result, now int64) bool {
	ok, at := true, seatAt{now, e.store.capacity}
	for i := range out.Limits {
		st := &out.Limits[i]
		h := &e.store.shards[shardOf(st.hash)]
		st.place = h.seat(st.tag(), st.limit.salt, at)
		st.read(&h.slots[st.place].state, now)
		ok = ok && (!st.Over || st.Shadow)
	}
	return ok
}

// tag is the tag of the pair of key and limit.
func (s *Standing) tag() uint64 { return mix(s.hash, s.limit.salt) }

// read settles a state and reads it.
func (s *Standing) read(state *state, now int64) {
	l := s.limit
	l.settle(state, l.shape, now)
	used, reset := l.reading(state, l.shape, now)
	s.Over = uint64(used)+uint64(s.cost) > uint64(l.quota)
	s.Shadow = s.group.shadow(now)
	s.held, s.Used, s.Reset = used, min(used, l.quota), millis(reset)
	if !s.Over {
		return
	}
	s.Refused, s.Never = !s.Shadow, s.cost > l.quota
	if !s.Never {
		s.Retry = millis(l.wait(state, l.shape, now, s.cost))
	}
}

// run is the limits of one policy: those from an index on that share a group.
type run struct {
	from int
	now  int64
	ok   bool // the request is admitted
}

// conclude charges the limits of one policy if the request is admitted and fits
// all of them, and gives the index of the next policy's. The shards are locked.
func (e *Engine) conclude(r *PolicyRequest, out *Result, at run) (next int) {
	charge := at.ok
	for next = at.from; next < len(out.Limits) && out.Limits[next].group == out.Limits[at.from].group; next++ {
		charge = charge && !out.Limits[next].Over
	}
	for i := at.from; i < next; i++ {
		st := &out.Limits[i]
		h := &e.store.shards[shardOf(st.hash)]
		st.charged = charge
		st.leave(&h.slots[st.place], at.now)
		if st.Over && e.spells.refuse(h, st, r, at.now) {
			out.told = append(out.told, h.spells[st.tag()].transition(at.now, true))
		}
	}
	return next
}

// leave charges the place, if that is to be, and gives it back.
func (s *Standing) leave(e *keySlot, now int64) {
	l := s.limit
	if s.charged {
		l.take(&e.state, l.shape, now, s.cost)
		n, reset := l.reading(&e.state, l.shape, now)
		s.held, s.Used, s.Reset = n, n, millis(reset)
	}
	switch {
	case s.Over:
		e.refusing = true
	case s.charged:
		e.refusing = false
	}
	e.used, e.until = s.held, now
	if s.held > 0 {
		e.until += s.Reset.Milliseconds()
	}
}

// choose finds the limit that refuses.
func (r *Result) choose() {
	for i := range r.Limits {
		st := &r.Limits[i]
		if !st.Refused {
			continue
		}
		if r.refusing < 0 || st.worse(&r.Limits[r.refusing]) {
			r.refusing = i
		}
	}
}

// worse tells whether s refuses for longer than o.
func (s *Standing) worse(o *Standing) bool {
	if s.Never != o.Never {
		return s.Never
	}
	return s.Wait() > o.Wait()
}

// count enters the limits' tallies.
func (r *Result) count() {
	for i := range r.Limits {
		st := &r.Limits[i]
		switch t := st.limit.tally; {
		case st.charged:
			t.admitted.Add(1)
		case st.Refused:
			t.refused.Add(1)
		case st.Over:
			t.shadowed.Add(1)
		}
	}
}

// Lookup says where the policies that apply to r stand, and whether Charge would
// refuse it, without counting or keeping anything.
func (e *Engine) Lookup(r *PolicyRequest, out *Result) {
	set := e.gather(r, out)
	if set == 0 {
		return
	}
	e.store.lock(set)
	defer e.store.unlock(set)
	now := e.now()
	for i := range out.Limits {
		st := &out.Limits[i]
		var s state
		if slot := e.store.shards[shardOf(st.hash)].find(st.tag()); slot != nil {
			s = slot.state
		}
		st.read(&s, now)
	}
	out.choose()
}

func millis(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
