package quota

// books are what a segment keeps of its keys as a whole.
type books struct {
	// Since the last report:
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
	key     Key
	tag     uint32
	origin  Origin
	budget  budget
	most    rank  // the highest rank that has to make room for it
	now     int64 // the clock is read once a request
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
// counted as refused only. It allocates nothing, but for what a growing
// segment and a new spell need.
func (h *Hosts) Check(k Key, o Origin) Decision {
	r := h.request(k, o, own)
	r.segment.mu.Lock()
	out := h.charge(&r)
	r.segment.mu.Unlock()
	h.tell(&r, &out)
	return out.Decision
}

// CheckUnverified is Check on a second window of the same size, for datagrams
// whose source nothing vouches for: however many are forged, k's own window is
// not touched and no spell begins.
func (h *Hosts) CheckUnverified(k Key, o Origin) Decision {
	r := h.request(k, o, unverified)
	r.segment.mu.Lock()
	defer r.segment.mu.Unlock()
	return h.charge(&r).Decision
}

// Peek says what Check would. It counts nothing if the request would be
// admitted, and does all that Check does if it is refused.
func (h *Hosts) Peek(k Key, o Origin) Decision {
	r := h.request(k, o, own)
	if r.policy == nil {
		return Decision{}
	}
	r.segment.mu.Lock()
	out := h.peek(&r)
	r.segment.mu.Unlock()
	h.tell(&r, &out)
	return out.Decision
}

// Discard counts a refused request in the report and touches no window: it is
// for denied hosts. It makes room for k only where another host is idle.
func (h *Hosts) Discard(k Key, o Origin) {
	r := h.request(k, o, own)
	r.most = idle
	s := r.segment
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	s.refused++
	if e := h.claim(&r); e != nil {
		e.last = r.now
		e.add(1, 1, o)
		return
	}
	h.departStranger(&r, 1)
}

func (h *Hosts) request(k Key, o Origin, b budget) request {
	r := request{key: k, origin: o, budget: b, policy: h.Policy(), now: h.now()}
	r.segment, r.tag = h.table.locate(k)
	switch {
	case r.policy == nil:
		r.most = idle
	case b == own:
		r.most = counted
	default:
		r.most = forged
	}
	return r
}

// charge charges r to its window or refuses it. The segment is locked.
func (h *Hosts) charge(r *request) outcome {
	s := r.segment
	s.requests++
	e := h.claim(r)
	if e == nil {
		return h.overflow(r)
	}
	e.last = r.now
	e.add(1, 0, r.origin)
	if r.policy == nil {
		return outcome{}
	}
	before := e.window(r.budget).at(r.now, r.policy.millis())
	w, ok := before.take(r.policy.Quota)
	e.keep(r.budget, w)
	out := outcome{Decision: w.decision(r.now, r.policy)}
	if ok {
		return out
	}
	s.refused++
	e.add(0, 1, 0)
	if r.budget == own {
		out.origins = e.origins
		out.began = h.spells.refuse(r, refusal{out.Used, e.origins, !before.refusing})
	}
	return out
}

// claim is r's slot, made if need be; nil if there is no room for it.
func (h *Hosts) claim(r *request) *slot {
	s := r.segment
	if e := s.find(r.key, r.tag); e != nil {
		return e
	}
	if s.live >= s.capacity {
		i := s.victim(r.now, r.policy, r.most)
		if i < 0 {
			return nil
		}
		h.depart(s, &s.slots[i])
		s.remove(i)
		s.evicted++
	}
	return s.insert(r.key, r.tag)
}

// overflow charges r to the window that it shares with everyone of its segment
// for whom there is no room.
func (h *Hosts) overflow(r *request) outcome {
	s := r.segment
	s.overflowed++
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
	s, w := r.segment, window{start: r.now}
	e := s.find(r.key, r.tag)
	if e != nil {
		w = e.window(r.budget).at(r.now, r.policy.millis())
	}
	switch {
	case w.used >= r.policy.Quota:
		return h.charge(r)
	case e == nil && !s.admits(r):
		s.requests++
		return h.overflow(r)
	}
	return outcome{Decision: w.decision(r.now, r.policy)}
}

// admits tells whether a newcomer finds room, or a share of what is left to
// those who do not.
func (s *segment) admits(r *request) bool {
	shared := s.overflow[r.budget].at(r.now, r.policy.millis())
	return s.live < s.capacity || shared.used < r.policy.Quota || s.victim(r.now, r.policy, r.most) >= 0
}
