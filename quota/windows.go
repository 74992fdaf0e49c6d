package quota

// The windows of a segment, which is locked: from state to window and back.

// window is e's, as it is stored.
func (c cursor) window(e slot, now int64) window { return c.unpack(e.state.Load(), e, now) }

func (c cursor) unpack(v uint64, e slot, now int64) window {
	w := unpack(v, now)
	if v&longBit != 0 {
		w.used = c.long[e.tag.Load()]
	}
	return w
}

// swap puts w in the place of state v, unless that has changed. A count that
// has outgrown a state is kept beside it until its window is over: from there
// on its key is counted with the segment locked.
func (c cursor) swap(e slot, v uint64, w window) bool {
	n := w
	if n.used > maxUsed {
		n.used = maxUsed
	}
	packed := pack(n)
	if w.used > maxUsed {
		packed = packed&^maxUsed | longBit
	}
	if packed != 0 {
		packed = e.unhinted(packed)
	}
	if !e.state.CompareAndSwap(v, packed) {
		return false
	}
	e.carried += used(v) - used(packed)
	switch {
	case w.used > maxUsed:
		if c.long == nil {
			c.long = make(map[uint64]uint32)
		}
		c.long[e.tag.Load()] = w.used
	case v&longBit != 0:
		delete(c.long, e.tag.Load())
	}
	return true
}

// spend charges r to e's window and counts it, or refuses and counts it. It is
// the window before and after, as they stand now.
func (c cursor) spend(e slot, r *request) (before, after window, ok bool) {
	for {
		v := e.state.Load()
		before = c.unpack(v, e, r.now).at(r.now, r.policy.millis())
		after, ok = before.take(r.policy.Quota)
		if c.swap(e, v, after) {
			e.carried++
			return before, after, ok
		}
	}
}

// settle closes a window that is over, before its start could be mistaken for
// a later one, and undoes what a clock set back left: nothing lies in the
// future, or the slot would outstay its time by the length of the jump.
func (c cursor) settle(e slot, now, length int64) {
	for v := e.state.Load(); v != 0; v = e.state.Load() {
		w := c.unpack(v, e, now)
		if w.live(now, length) {
			if w.start <= now {
				break
			}
			w.start = now
		} else {
			w = window{}
		}
		if c.swap(e, v, w) {
			break
		}
	}
	for {
		v := e.seen.Load()
		if lastSeen(v) <= now || e.seen.CompareAndSwap(v, packSeen(now, originsOf(v), v)) {
			return
		}
	}
}

func (c cursor) slotRank(e slot, now int64, p *Policy) rank {
	return c.window(e, now).rank(e.budget(), now, p)
}

// rank is how dear a slot with the window w of b is.
func (w window) rank(b budget, now int64, p *Policy) rank {
	if p == nil || !w.live(now, p.millis()) {
		return idle
	}
	r := counted
	if b == unverified {
		r = forged
	}
	if w.exceeded(now, p) {
		r++
	}
	return r
}
