package quota

import (
	"hash/maphash"
	"math/bits"
)

// segmentHosts is the most keys a segment holds: at 64 bytes a slot the longest
// that a check can wait for, a whole segment being walked or moved, is then
// some 80 KB of memory.
const segmentHosts = 1024

// table spreads keys over segments, each with a lock of its own. It knows where
// a key lies, nothing of what is counted there.
type table struct {
	seed     maphash.Seed // secret: a stranger cannot choose keys that collide
	shift    uint
	segments []segment
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
	t := &table{
		seed:     maphash.MakeSeed(),
		shift:    uint(64 - bits.TrailingZeros(uint(n))),
		segments: make([]segment, n),
	}
	for i := range t.segments {
		t.segments[i].capacity = maxHosts / n
		if i < maxHosts%n {
			t.segments[i].capacity++
		}
	}
	return t
}

// locate is where k lies: its segment, and its tag within.
func (t *table) locate(k Key) (*segment, uint32) {
	h := maphash.Comparable(t.seed, k)
	return &t.segments[h>>t.shift], uint32(h) | 1
}
