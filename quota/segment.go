package quota

import "sync"

// segment is a part of the table: an open-addressing array of buckets with
// linear probing, and the books kept on its keys. A key lies in its home bucket
// or, where that and all between are full, in a later one.
type segment struct {
	mu sync.Mutex // guards everything below

	number   int // of the segment
	pages    int // in use
	live     int // keys that have a slot, at most capacity
	slots    int // in use: one or two a key
	twins    int // of them unverified
	capacity int // 1 to segmentHosts
	// names are the keys that cannot be read back from their tags, by their
	// folded ones: one for each that has a slot; nil while there are none.
	names map[uint64]Key
	// long are the counts that outgrew their states, by tag: of keys that were
	// admitted four million times in a window that is not over; nil while there
	// have been none.
	long map[uint64]uint32

	books
}

// A cursor is a segment of a table, which is locked.
type cursor struct {
	*table
	*segment
}

// place is a slot of a segment: its bucket, and which of the bucket's it is.
type place struct {
	bucket uint32
	slot   int
}

func (c cursor) size() uint32 { return uint32(c.pages * pageBuckets) }

// bucket is bucket b: the hot halves of its slots.
func (c cursor) bucket(b uint32) *bucket { return c.table.bucket(c.number, b) }

func (c cursor) at(p place) slot { return c.table.slot(c.number, p.bucket, p.slot) }

func (c cursor) next(b uint32) uint32 {
	if b++; b < c.size() {
		return b
	}
	return 0
}

// distance is how many steps of next lead from a to b.
func (c cursor) distance(a, b uint32) uint32 {
	if b >= a {
		return b - a
	}
	return b + c.size() - a
}

// search is where tag lies, or, if ok is false, the free slot where it belongs.
// The segment must have a page.
func (c cursor) search(tag uint64) (p place, ok bool) {
	for p.bucket = c.table.home(tag, c.size()); ; p.bucket = c.next(p.bucket) {
		k, free := c.bucket(p.bucket), -1
		for i := range k {
			switch k[i].tag.Load() {
			case tag:
				p.slot = i
				return p, true
			case 0:
				free = i
			}
		}
		if free >= 0 {
			p.slot = free
			return p, false
		}
	}
}

// find is tag's slot, valid until the next insert, remove or resize; none if
// there is none.
func (c cursor) find(tag uint64) slot {
	if c.pages == 0 {
		return slot{}
	}
	if p, ok := c.search(tag); ok {
		return c.at(p)
	}
	return slot{}
}

// insert makes a slot for k, whose tag must be absent; the caller made sure
// that live is below capacity, or that k has a twin. Nothing is allocated, but
// for a key that cannot be read back.
func (c cursor) insert(k Key, tag uint64) slot {
	if c.segment.slots >= c.pages*fill {
		c.resize(c.pages + 1)
	}
	p, _ := c.search(tag)
	return c.settleIn(k, tag, p)
}

// settleIn gives the free slot at p to k.
func (c cursor) settleIn(k Key, tag uint64, p place) slot {
	if f := c.fold(k); f>>regionShift == regionNamed {
		if c.names == nil {
			c.names = make(map[uint64]Key)
		}
		c.names[f] = k
	}
	if !c.twin(tag).ok() {
		c.live++
	}
	c.count(tag, 1)
	e := c.at(p)
	e.put(record{tag: tag})
	return e
}

func (c cursor) count(tag uint64, n int) {
	c.segment.slots += n
	if budget(tag&1) == unverified {
		c.twins += n
	}
}

// twin is the slot of tag's other budget; none if there is none.
func (c cursor) twin(tag uint64) slot {
	others := c.twins
	if budget(tag&1) == unverified {
		others = c.segment.slots - c.twins
	}
	if others == 0 {
		return slot{}
	}
	return c.find(tag ^ uint64(unverified))
}

// key is the key of tag.
func (c cursor) key(tag uint64) Key {
	f := c.folded(tag)
	switch f >> regionShift {
	case regionSmall:
		return Key{lo: f}
	case regionExact:
		return Key{hi: f}
	}
	return c.names[f]
}

// remove frees the slot at p and moves later keys up, so that no search meets a
// hole before its key.
func (c cursor) remove(p place) departure {
	d := c.vacate(p)
	for hole, full := p, c.fullBut(p); full; {
		hole, full = c.fillHole(hole)
	}
	c.part(d.tag)
	return d
}

// departure is what a slot counted, to the last request, that was taken off its
// key.
type departure struct {
	key Key
	tag uint64
	counts
}

// vacate takes the slot at p off its key. Then either what later searches go
// past it for is moved up, or it is filled again, and part is called in between.
func (c cursor) vacate(p place) departure {
	r := c.at(p).take()
	d := departure{c.key(r.tag), r.tag, counts{
		r.carried + used(r.state), r.refused, originsOf(r.seen), lastSeen(r.seen),
	}}
	c.count(r.tag, -1)
	if r.state&longBit != 0 {
		delete(c.long, r.tag)
	}
	return d
}

// part forgets a key that lost its last slot. No hole may be in the way of a
// search for the other.
func (c cursor) part(tag uint64) {
	if !c.twin(tag).ok() {
		c.live--
		delete(c.names, c.folded(tag))
	}
}

// fullBut tells whether all slots of p's bucket but p are used: if not, no
// search went past it before p was freed.
func (c cursor) fullBut(p place) bool {
	k := c.bucket(p.bucket)
	for i := range k {
		if i != p.slot && k[i].tag.Load() == 0 {
			return false
		}
	}
	return true
}

// fillHole moves the next key into hole that may lie there. It is where there is
// a hole now, and whether that is in the way of a search too.
func (c cursor) fillHole(hole place) (place, bool) {
	for b := c.next(hole.bucket); b != hole.bucket; b = c.next(b) {
		k, full := c.bucket(b), true
		found := -1
		for i := range k {
			tag := k[i].tag.Load()
			if tag == 0 {
				full = false
			} else if c.distance(c.table.home(tag, c.size()), b) >= c.distance(hole.bucket, b) {
				found = i
			}
		}
		if found >= 0 {
			c.at(hole).put(c.at(place{b, found}).take())
			return place{b, found}, full
		}
		if !full {
			break
		}
	}
	return hole, false
}

// resize moves all keys into that many pages; the caller made sure that they fit
// in. Checks that find nothing, or an empty state, wait for the lock meanwhile.
func (c cursor) resize(pages int) {
	if pages > c.pages {
		c.use(c.number, c.pages, pages)
	}
	c.moveMu.Lock()
	moving := c.moving[:0]
	for b := range c.size() {
		k := c.bucket(b)
		for i := range k {
			if k[i].tag.Load() != 0 {
				moving = append(moving, c.at(place{b, i}).take())
			}
		}
	}
	old := c.pages
	c.pages = pages
	c.buckets[c.number].Store(c.size())
	for i := range moving {
		p, _ := c.search(moving[i].tag)
		c.at(p).put(moving[i])
	}
	c.moveMu.Unlock()
	if pages < old {
		c.use(c.number, old, pages)
	}
}

// compact gives pages back that are not needed, with some to spare so that the
// next newcomers do not ask for them again.
func (c cursor) compact() {
	if pages := pagesFor(c.segment.slots + c.segment.slots/8); pages < c.pages {
		c.resize(pages)
	}
}
