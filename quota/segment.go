package quota

import "sync"

const (
	// minSlots is the size of a segment's first array.
	minSlots = 8
	// candidates is how many keys are looked at to find the one to evict.
	candidates = 32
)

// segment is a part of the table: an open-addressing array with linear probing,
// never more than seven eighths full, and the books kept on its keys.
type segment struct {
	mu sync.Mutex // guards everything below

	slots    []slot
	live     int // slots in use, at most capacity
	capacity int // 1 to segmentHosts
	hand     int // where the search for the next victim goes on

	books
}

// fitting is the array size for n keys: 0, or minSlots doubled as needed, but
// no more than capacity needs.
func (s *segment) fitting(n int) int {
	if n == 0 {
		return 0
	}
	size := minSlots
	for size*7 < n*8 {
		size *= 2
	}
	return min(size, s.capacity*8/7+1)
}

// home is where a key with that tag lies if nobody else does.
func (s *segment) home(tag uint32) int {
	return int(uint64(tag) * uint64(len(s.slots)) >> 32)
}

func (s *segment) next(i int) int {
	if i++; i < len(s.slots) {
		return i
	}
	return 0
}

// find is k's slot, valid until the next insert, remove or rebuild; nil if
// there is none.
func (s *segment) find(k Key, tag uint32) *slot {
	if len(s.slots) == 0 {
		return nil
	}
	for i := s.home(tag); s.slots[i].tag != 0; i = s.next(i) {
		if e := &s.slots[i]; e.tag == tag && e.key == k {
			return e
		}
	}
	return nil
}

// insert makes a slot for k, which must be absent; the caller made sure that
// live is below capacity.
func (s *segment) insert(k Key, tag uint32) *slot {
	if (s.live+1)*8 > len(s.slots)*7 {
		s.rebuild(s.fitting(s.live+1), nil)
	}
	s.live++
	e := s.free(tag)
	e.key, e.tag = k, tag
	return e
}

// free is the free slot where a key with that tag belongs. There always is one:
// an array is larger than the number of its keys.
func (s *segment) free(tag uint32) *slot {
	i := s.home(tag)
	for s.slots[i].tag != 0 {
		i = s.next(i)
	}
	return &s.slots[i]
}

// remove frees slot i and moves later keys of its run up, so that no probe
// meets a hole before its key.
func (s *segment) remove(i int) {
	for j := s.next(i); s.slots[j].tag != 0; j = s.next(j) {
		if s.distance(s.home(s.slots[j].tag), j) >= s.distance(i, j) {
			s.slots[i] = s.slots[j]
			i = j
		}
	}
	s.slots[i] = slot{}
	s.live--
}

// distance is how many steps of next lead from i to j.
func (s *segment) distance(i, j int) int {
	if d := j - i; d >= 0 {
		return d
	}
	return j - i + len(s.slots)
}

// rebuild moves all keys into an array of that size: spare if it is of about
// that size, else a new one. It returns the array that is free now.
func (s *segment) rebuild(size int, spare []slot) []slot {
	old := s.slots
	if cap(spare) >= size && cap(spare) < size+minSlots {
		s.slots = spare[:size]
		clear(s.slots)
	} else {
		s.slots = make([]slot, size)
	}
	for i := range old {
		if e := &old[i]; e.tag != 0 {
			*s.free(e.tag) = *e
		}
	}
	s.hand = 0
	return old
}

// compact closes the holes that a sweep left, in a smaller array if one will
// do: a segment without keys keeps none. spare is an array to use, the result
// one to use for the next segment; either may be nil.
func (s *segment) compact(spare []slot) []slot {
	size := s.fitting(s.live)
	if size == 0 {
		s.slots, s.hand = nil, 0
		return spare
	}
	return s.rebuild(size, spare)
}

// victim is the slot of the least active of the next few keys that rank no
// higher than most; -1 if all rank higher.
func (s *segment) victim(now int64, p *Policy, most rank) int {
	best, bestRank, seen := -1, most, 0
	for range s.slots {
		if seen == candidates {
			break
		}
		i := s.hand % len(s.slots)
		s.hand = s.next(i)
		e := &s.slots[i]
		if e.tag == 0 {
			continue
		}
		seen++
		r := e.rank(now, p)
		if r < bestRank || r == bestRank && (best < 0 || e.quieter(&s.slots[best], r)) {
			best, bestRank = i, r
		}
	}
	return best
}
