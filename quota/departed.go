package quota

import (
	"sync"
	"sync/atomic"
)

// maxDeparted bounds the list of forgotten keys: many times what a report shows.
const maxDeparted = 256

// tally is what the report still has to tell of a key that has no slot.
type tally struct {
	key               Key
	requests, refused uint64
	last              int64 // Unix ms
	origins           Origin
}

// fate is what departed.add did with a tally.
type fate uint8

const (
	ignored fate = iota // too small for the list
	listed              // put on it
	merged              // added to the one that was listed
)

// departed are the busiest of the keys that lost their slot since the last
// report: a flood that is over before the report is told of all the same.
type departed struct {
	floor atomic.Uint64 // a key with no more requests than this is not listed

	mu   sync.Mutex // guards list; taken with a segment's lock held, never the other way
	list []tally    // at most maxDeparted, in no order
}

// add lists t, in the place of the smallest if the list is full.
func (d *departed) add(t tally) fate {
	if t.requests <= d.floor.Load() {
		return ignored
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if i := d.index(t.key); i >= 0 {
		d.list[i].merge(t)
		return merged
	}
	if len(d.list) < maxDeparted {
		d.list = append(d.list, t)
	} else if i := d.smallest(); d.list[i].requests < t.requests {
		d.list[i] = t
	} else {
		return ignored
	}
	if len(d.list) == maxDeparted {
		d.floor.Store(d.list[d.smallest()].requests)
	}
	return listed
}

func (t *tally) merge(o tally) {
	t.requests += o.requests
	t.refused += o.refused
	t.last = max(t.last, o.last)
	t.origins |= o.origins
}

// remove takes k off the list; false if it is not on it.
func (d *departed) remove(k Key) (tally, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := d.index(k)
	if i < 0 {
		return tally{}, false
	}
	t := d.list[i]
	d.list[i] = d.list[len(d.list)-1]
	d.list = d.list[:len(d.list)-1]
	d.floor.Store(0)
	return t, true
}

// snapshot is a copy of the list.
func (d *departed) snapshot() []tally {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]tally(nil), d.list...)
}

// take is the list, which is empty then.
func (d *departed) take() []tally {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := d.list
	d.list = nil
	d.floor.Store(0)
	return list
}

func (d *departed) index(k Key) int {
	for i := range d.list {
		if d.list[i].key == k {
			return i
		}
	}
	return -1
}

func (d *departed) smallest() int {
	least := 0
	for i := range d.list {
		if d.list[i].requests < d.list[least].requests {
			least = i
		}
	}
	return least
}

// depart keeps for the report what d counted: in the key's other slot, if it
// has one. The segment is locked.
func (h *Hosts) depart(c cursor, d departure) {
	if d.requests == 0 {
		return
	}
	t := tally{d.key, uint64(d.requests), uint64(d.refused), d.last, d.origins}
	if e := c.twin(d.tag); e.ok() {
		c.give(e, &t)
		return
	}
	c.keep(t.requests, t.refused)
	if h.departed.add(t) != merged {
		c.gone++
	}
}

// give adds what t counted to e.
func (c cursor) give(e slot, t *tally) {
	e.see(max(t.last, lastSeen(e.seen.Load())), t.origins)
	c.keep(e.add(t.requests, t.refused))
}

// departStranger keeps for the report a request whose key found no room. Only
// a listed key counts as a host then: the others cannot be told apart.
func (h *Hosts) departStranger(r *request, refused uint64) {
	t := tally{r.key, 1, refused, r.now, r.origin}
	if h.departed.add(t) == listed {
		r.segment.gone++
	}
}
