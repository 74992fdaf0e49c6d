package mqtt

import "slices"

// sparse is how many identifiers an idSet lists before it is a bit for each: two
// receiveMaximum, as a session holds that was resumed with a full one.
const sparse = 2 * receiveMaximum

// idSet is a set of packet identifiers: a sorted list while they are few, else a
// bit for each, so never more than 8 KiB. Its zero value is empty.
type idSet struct {
	few  []uint16
	many *[1 << 16 / 64]uint64 // nil while few holds them
	n    int
}

func (s *idSet) has(id uint16) bool {
	if s.many != nil {
		return s.many[id>>6]&(1<<(id&63)) != 0
	}
	_, ok := slices.BinarySearch(s.few, id)
	return ok
}

// add makes id one of s.
func (s *idSet) add(id uint16) {
	if s.has(id) {
		return
	}
	s.n++
	if s.many == nil && s.n > sparse {
		s.spread()
	}
	if s.many != nil {
		s.many[id>>6] |= 1 << (id & 63)
		return
	}
	at, _ := slices.BinarySearch(s.few, id)
	s.few = slices.Insert(s.few, at, id)
}

// spread turns the list into bits.
func (s *idSet) spread() {
	s.many = new([1 << 16 / 64]uint64)
	for _, id := range s.few {
		s.many[id>>6] |= 1 << (id & 63)
	}
	s.few = nil
}

// drop removes id; false if s does not have it.
func (s *idSet) drop(id uint16) bool {
	if !s.has(id) {
		return false
	}
	if s.n--; s.n == 0 {
		// What once was much takes no memory; a client that sends one after the
		// other keeps its few bytes.
		s.many, s.few = nil, s.few[:0]
		if cap(s.few) > 64 {
			s.few = nil
		}
		return true
	}
	if s.many != nil {
		s.many[id>>6] &^= 1 << (id & 63)
		return true
	}
	at, _ := slices.BinarySearch(s.few, id)
	s.few = slices.Delete(s.few, at, at+1)
	return true
}

// pack makes s as small as it can be; false if it has more than sparse.
func (s *idSet) pack() bool {
	if s.n > sparse {
		return false
	}
	if s.many == nil {
		s.few = slices.Clip(slices.Clone(s.few))
		return true
	}
	few := make([]uint16, 0, s.n)
	for id := range 1 << 16 {
		if s.has(uint16(id)) {
			few = append(few, uint16(id))
		}
	}
	s.few, s.many = few, nil
	return true
}
