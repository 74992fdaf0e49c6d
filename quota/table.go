package quota

import (
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"
)

const (
	// segmentHosts is the most keys a segment keeps: the longest that
	// anything can wait for, a whole segment being walked or moved, is then
	// some 40 KB of memory, or twice that where each key has two slots.
	segmentHosts = 1024

	// A bucket is a cache line.
	bucketSlots = 4
	// A page is what a segment grows by.
	pageBuckets = 16
	pageSlots   = pageBuckets * bucketSlots
	pageBytes   = int(unsafe.Sizeof(hotPage{})) // 1024, and as many cold ones
	// fill is how many slots of a page are used before the segment grows: 72 %,
	// where nine of ten keys lie in their own bucket.
	fill = pageSlots * 23 / 32
	// A range is what is given back to the system at once: a large page of
	// amd64 and arm64.
	rangeBytes = 2 << 20
	rangePages = rangeBytes / 1024
)

type (
	bucket [bucketSlots]hot
	// A page is in two places, so that what is not looked at takes no room in
	// the processor's caches.
	hotPage  [pageBuckets]bucket
	coldPage [pageBuckets][bucketSlots]cold
)

// table spreads keys over segments, each with a lock of its own. It knows where
// a key lies, nothing of what is counted there.
//
// A segment is some 22 pages at most, or twice that where each key has two
// slots. The n-th pages of all segments lie side by
// side, so that where a bucket is can be computed, and a table that is a tenth
// full has touched a tenth of its memory: as keys spread evenly, all segments
// grow at about the same time.
type table struct {
	spread
	log      uint // of the number of segments, to the base 2
	segments []segment
	buckets  []atomic.Uint32 // that each segment uses, for checks without its lock
	memory   memory

	mu     sync.Mutex // guards uses; taken with a segment's lock held, never the other way
	uses   []uint32   // pages in use of each range
	moveMu sync.Mutex // guards moving; taken as mu is
	moving []record   // room for a segment while it is moved
}

// newTable makes a table of at most maxHosts keys, shared out among segments to
// the last one. Hosts spread at random, so that a segment may be full while
// others have room: eviction starts when about nine tenths of maxHosts are
// kept. Up to segmentHosts there is one segment and the bound is met exactly.
func newTable(maxHosts int) *table {
	n := 1
	for n*segmentHosts < maxHosts {
		n *= 2
	}
	deep := pagesFor(numBudgets * ((maxHosts + n - 1) / n))
	t := &table{
		spread:   newSpread(),
		log:      uint(bits.TrailingZeros(uint(n))),
		segments: make([]segment, n),
		buckets:  make([]atomic.Uint32, n),
		memory:   reserve(deep*n, n >= rangePages),
		uses:     make([]uint32, (deep*n+rangePages-1)/rangePages),
		moving:   make([]record, 0, deep*pageSlots),
	}
	for i := range t.segments {
		s := &t.segments[i]
		s.number, s.capacity = i, maxHosts/n
		if i < maxHosts%n {
			s.capacity++
		}
	}
	// The mapping stays: a check may be at its end while nobody else knows the
	// table any more. It holds no memory then.
	runtime.AddCleanup(t, func(m memory) { m.release(0, len(m.hot)) }, t.memory)
	return t
}

// pagesFor is how many pages n slots need.
func pagesFor(n int) int { return (n + fill - 1) / fill }

// tagOf is where k lies.
func (t *table) tagOf(k Key, b budget) uint64 { return t.tag(t.fold(k)) | uint64(b) }

// segment is the one that tag lies in, whichever its budget.
func (t *table) segment(tag uint64) *segment { return &t.segments[t.index(tag)] }

// index is which segment tag lies in: its first bits say so. (The shifts are
// written such that the compiler sees they are under 64.)
func (t *table) index(tag uint64) int { return int(tag >> 1 >> ((63 - t.log) & 63)) }

// home is which of n buckets of its segment a tag belongs in: its next bits say.
func (t *table) home(tag uint64, n uint32) uint32 {
	b, _ := bits.Mul64(tag<<(t.log&63), uint64(n))
	return uint32(b)
}

// page is the one that bucket b of a segment lies in.
func (t *table) page(segment int, b uint32) int {
	return int(b/pageBuckets)<<(t.log&63) + segment
}

// bucket is bucket b of a segment: the hot halves of its slots.
func (t *table) bucket(segment int, b uint32) *bucket {
	return &t.memory.hot[t.page(segment, b)][b%pageBuckets]
}

// slot is slot i of bucket b of a segment.
func (t *table) slot(segment int, b uint32, i int) slot {
	p := t.page(segment, b)
	return slot{&t.memory.hot[p][b%pageBuckets][i], &t.memory.cold[p][b%pageBuckets][i]}
}

// maxProbes is how many buckets a search without the lock looks at: one that
// goes on is rare, or finds the segment being moved.
const maxProbes = 8

// located is where a key lies.
type located struct {
	tag uint64
	// spot is where its home bucket is: the number of its page, times
	// pageBuckets, plus its own in there; negative if its segment has no page. It
	// is out of date once the segment has grown: nothing is found there then.
	spot int
}

// locate is where k lies.
func (t *table) locate(k Key, b budget) located {
	tag := t.tag(t.fold(k)) | uint64(b)
	segment := t.index(tag)
	n := t.buckets[segment].Load()
	home := t.home(tag, n)
	if n == 0 {
		return located{tag, -1}
	}
	return located{tag, t.page(segment, home)*pageBuckets + int(home%pageBuckets)}
}

// find is tag's slot, found without the lock; none if there is none or it is
// better looked for with the lock. The slot may go to another key at any time.
func (t *table) find(tag uint64) slot {
	segment := t.index(tag)
	n := t.buckets[segment].Load()
	b := t.home(tag, n)
	for range min(n, maxProbes) {
		if e, full := t.look(segment, b, tag); e.ok() || !full {
			return e
		}
		if b++; b >= n {
			b = 0
		}
	}
	return slot{}
}

// look is tag's slot in bucket b, and, if there is none, whether it may lie in
// a later bucket.
func (t *table) look(segment int, b uint32, tag uint64) (e slot, full bool) {
	k := t.bucket(segment, b)
	t0, t1, t2, t3 := k[0].tag.Load(), k[1].tag.Load(), k[2].tag.Load(), k[3].tag.Load()
	// No branch that depends on where in the bucket it lies: it would be
	// mispredicted half of the time.
	m := is(t0 == tag) | is(t1 == tag)<<1 | is(t2 == tag)<<2 | is(t3 == tag)<<3
	if m == 0 {
		return slot{}, t0 != 0 && t1 != 0 && t2 != 0 && t3 != 0
	}
	return t.slot(segment, b, bits.TrailingZeros8(m)&(bucketSlots-1)), false
}

// is is 1 if ok, without a branch.
func is(ok bool) uint8 {
	var x uint8
	if ok {
		x = 1
	}
	return x
}

// fetch starts to fetch a key's home bucket into the cache.
func (t *table) fetch(l located) {
	if l.spot >= 0 {
		prefetch(unsafe.Pointer(&t.memory.hot[l.spot/pageBuckets][l.spot%pageBuckets]))
	}
}

// fetchCold starts to fetch the other halves of its slots.
func (t *table) fetchCold(l located) {
	if l.spot >= 0 {
		prefetch(unsafe.Pointer(&t.memory.cold[l.spot/pageBuckets][l.spot%pageBuckets]))
	}
}

// use counts pages from to to of segment i as used, or, if to is less than
// from, as used no longer, and gives ranges back that are used by nobody.
func (t *table) use(i, from, to int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(t.segments)
	for p := from; p < to; p++ {
		t.uses[(p*n+i)/rangePages]++
	}
	for p := to; p < from; p++ {
		r := (p*n + i) / rangePages
		if t.uses[r]--; t.uses[r] == 0 {
			t.memory.release(r*rangePages, min((r+1)*rangePages, len(t.memory.hot)))
		}
	}
}
