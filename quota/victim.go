package quota

// candidates is how many slots are looked at to find the one to evict.
const candidates = 32

// choice is a slot that may be evicted.
type choice struct {
	place
	ok bool
	rank
	window // whose key was admitted less goes first, else the one it began earlier for
}

func (e *choice) before(o *choice) bool {
	switch {
	case e.rank != o.rank:
		return e.rank < o.rank
	case !o.ok:
		return true
	case e.used != o.used:
		return e.used < o.used
	}
	return e.start < o.start
}

// victim is the least active of the next few keys from r's home on that rank
// no higher than r's most; not ok if all rank higher. Of those whose window is
// over the first will do.
func (c cursor) victim(r *request) choice {
	best := choice{rank: r.most}
	b, seen := c.table.home(r.tag, c.size()), 0
	for range c.size() {
		seen += c.choose(b, r, &best)
		if seen >= candidates || best.ok && best.rank == idle {
			break
		}
		b = c.next(b)
	}
	return best
}

// neighbour is a victim in r's home bucket, so that its slot can be r's without
// a search: one whose window is over or that was admitted once, which is what a
// flood of new hosts consists of. Not ok if there is none, or if the segment is
// so small that all are worth looking at.
func (c cursor) neighbour(r *request) choice {
	best := choice{rank: r.most}
	if c.twins == 0 && c.live > candidates {
		c.choose(c.table.home(r.tag, c.size()), r, &best)
		best.ok = best.ok && (best.rank == idle || best.used <= 1)
	}
	return best
}

// choose puts the least active of bucket b into best if it is less so, and is
// how many slots of it are used.
func (c cursor) choose(b uint32, r *request, best *choice) (seen int) {
	k := c.bucket(b)
	for i := range k {
		v, tag := k[i].state.Load(), k[i].tag.Load()
		if tag == 0 {
			continue
		}
		seen++
		e := choice{place: place{b, i}, ok: true, window: unpack(v, r.now)}
		if v&longBit != 0 {
			e.used = c.long[tag]
		}
		e.rank = e.window.rank(budget(tag&1), r.now, r.policy)
		if t := c.twin(tag); t.ok() {
			e.rank = max(e.rank, c.slotRank(t, r.now, r.policy))
		}
		if e.before(best) {
			*best = e
		}
	}
	return seen
}
