package quota

// books are what a segment keeps of its keys as a whole.
type books struct {
	// Since the last report, of those that have no slot and of what a slot
	// could not hold. The sums are modulo 2^64: what was told of and came back
	// to a slot is taken off here (see reunite).
	requests, refused uint64
	gone              uint64 // keys that asked and were forgotten

	// Since the start:
	evicted, overflowed, swept uint64

	// overflow is what newcomers share for whom there is no room.
	overflow [numBudgets]window
	// spells of this segment's keys, by key; nil while there are none.
	spells map[Key]*spell
}

// request is one request on its way through the quota.
type request struct {
	key Key
	tag uint64
	arrival
	budget  budget
	most    rank // the highest rank that has to make room for it
	policy  *Policy
	segment *segment
}

// outcome is what became of a request.
type outcome struct {
	Decision
	began   bool   // a spell of exceeding
	origins Origin // of the key since the last report; only if began
}

// Check charges one request to k's window, or refuses it; a refused one is
// counted as refused only. It allocates nothing, but for what a new spell
// needs. One that is admitted into a live window takes no lock.
func (h *Hosts) Check(k Key, o Origin) Decision {
	return h.checkOn(k, o, own)
}

// CheckUnverified is Check on a second window of the same size, for datagrams
// whose source nothing vouches for: however many are forged, k's own window is
// not touched and no spell begins.
func (h *Hosts) CheckUnverified(k Key, o Origin) Decision {
	return h.checkOn(k, o, unverified)
}

func (h *Hosts) checkOn(k Key, o Origin, b budget) Decision {
	st, now, l := h.settings.Load(), h.now(), h.table.locate(k, b)
	if d, ok := h.hit(st, l, now, o); ok {
		return d
	}
	h.table.fetchCold(l) // it is waited for with the rest
	return h.check(h.request(st, k, l.tag, arrival{now, o}))
}

// check charges r with its segment locked, or refuses it.
func (h *Hosts) check(r request) Decision {
	r.segment.mu.Lock()
	out := h.charge(&r)
	r.segment.mu.Unlock()
	h.tell(&r, &out)
	return out.Decision
}

// Peek says what Check would. It counts nothing if the request would be
// admitted, and does all that Check does if it is refused.
func (h *Hosts) Peek(k Key, o Origin) Decision {
	st, now, tag := h.settings.Load(), h.now(), h.table.tagOf(k, own)
	if st.policy == nil {
		return Decision{}
	}
	if d, ok := h.glance(st, tag, now); ok {
		return d
	}
	r := h.request(st, k, tag, arrival{now, o})
	r.segment.mu.Lock()
	out := h.peek(&r)
	r.segment.mu.Unlock()
	h.tell(&r, &out)
	return out.Decision
}

// Discard counts a refused request in the report and touches no window: it is
// for denied hosts. It makes room for k only where another host is idle.
func (h *Hosts) Discard(k Key, o Origin) {
	r := h.request(h.settings.Load(), k, h.table.tagOf(k, own), arrival{h.now(), o})
	r.most = idle
	s := r.segment
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := h.claim(&r); e.ok() {
		e.see(r.now, o)
		s.keep(e.add(1, 1))
		return
	}
	s.keep(1, 1)
	h.departStranger(&r, 1)
}

// keep counts requests that no slot does.
func (b *books) keep(requests, refused uint64) {
	b.requests += requests
	b.refused += refused
}

// arrival is when and whence a request came.
type arrival struct {
	now    int64 // the clock is read once a request
	origin Origin
}

func (h *Hosts) request(st *settings, k Key, tag uint64, a arrival) request {
	r := request{
		key: k, tag: tag, arrival: a, budget: budget(tag & 1), policy: st.policy,
		segment: h.table.segment(tag),
	}
	switch {
	case r.policy == nil:
		r.most = idle
	case r.budget == own:
		r.most = counted
	default:
		r.most = forged
	}
	return r
}

// in is r's segment, which is locked.
func (h *Hosts) in(r *request) cursor { return cursor{h.table, r.segment} }

// charge charges r to its window or refuses it. The segment is locked.
func (h *Hosts) charge(r *request) outcome {
	e := h.claim(r)
	if !e.ok() {
		return h.overflow(r)
	}
	e.see(r.now, r.origin)
	if r.policy == nil {
		r.segment.keep(e.add(1, 0))
		return outcome{}
	}
	before, after, ok := h.in(r).spend(e, r)
	out := outcome{Decision: after.decision(r.now, r.policy)}
	if ok {
		r.segment.keep(e.add(0, 0))
		return out
	}
	r.segment.keep(e.add(0, 1))
	if r.budget == own {
		origins := originsOf(e.seen.Load())
		if t := h.in(r).twin(r.tag); t.ok() {
			origins |= originsOf(t.seen.Load())
		}
		out.origins = origins
		out.began = h.spells.refuse(r, refusal{out.Used, origins, !before.refusing})
	}
	return out
}

// claim is r's slot, made if need be; none if there is no room for it.
func (h *Hosts) claim(r *request) slot {
	c := h.in(r)
	if e := c.find(r.tag); e.ok() {
		return e
	}
	if c.live >= c.capacity && !c.twin(r.tag).ok() {
		if e := c.neighbour(r); e.ok {
			d := c.vacate(e.place)
			c.part(d.tag) // nobody has two slots here: see neighbour
			h.depart(c, d)
			c.evicted++
			return c.settleIn(r.key, r.tag, e.place)
		}
		e := c.victim(r)
		if !e.ok {
			return slot{}
		}
		h.evict(c, c.at(e.place).tag.Load())
	}
	return c.insert(r.key, r.tag)
}

// evict takes the slots of tag's key from it.
func (h *Hosts) evict(c cursor, tag uint64) {
	for _, t := range [numBudgets]uint64{tag, tag ^ uint64(unverified)} {
		if p, ok := c.search(t); ok {
			h.depart(c, c.remove(p))
		}
	}
	c.evicted++
}

// overflow charges r to the window that it shares with everyone of its segment
// for whom there is no room.
func (h *Hosts) overflow(r *request) outcome {
	s := r.segment
	s.overflowed++
	s.requests++
	if r.policy == nil {
		h.departStranger(r, 0)
		return outcome{}
	}
	w, ok := s.overflow[r.budget].at(r.now, r.policy.millis()).take(r.policy.Quota)
	s.overflow[r.budget] = w
	if ok {
		h.departStranger(r, 0)
	} else {
		s.refused++
		h.departStranger(r, 1)
	}
	return outcome{Decision: w.decision(r.now, r.policy)}
}

// peek is charge without a charge. What it refuses it refuses by the very window
// that it looked at: a second search for room might find some, and charge. The
// segment is locked.
func (h *Hosts) peek(r *request) outcome {
	w := window{start: r.now}
	e := h.in(r).find(r.tag)
	if e.ok() {
		w = h.in(r).window(e, r.now).at(r.now, r.policy.millis())
	}
	switch {
	case w.used >= r.policy.Quota:
		return h.charge(r)
	case !e.ok() && !h.admits(r):
		return h.overflow(r)
	}
	return outcome{Decision: w.decision(r.now, r.policy)}
}

// admits tells whether a newcomer finds room, or a share of what is left to
// those who do not.
func (h *Hosts) admits(r *request) bool {
	c := h.in(r)
	if c.live < c.capacity || c.overflow[r.budget].at(r.now, r.policy.millis()).used < r.policy.Quota {
		return true
	}
	return c.twin(r.tag).ok() || c.victim(r).ok
}
