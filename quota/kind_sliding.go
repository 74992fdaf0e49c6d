package quota

// slidingWindow holds what was admitted in the window before now, at any time.
//
// Its error bound: an admitted request counts for at least one window, so that
// no window, however it lies, holds more than the quota; and for less than a
// window and a grain, a tenth of it, so that no request is refused that would
// fit a window by so much longer. Requests that lie a grain or further apart
// count for exactly one window (to the 1024th part of a grain, and a
// millisecond).
//
// Its words are the number of the newest grain (32 bits) and, from the newest
// back, a cell for each of the last slidingCells grains: how many requests were
// admitted in it (22 bits), and when in the grain the last of them was, in
// 1024ths of it (10 bits). All of a cell's requests count until its last one
// has left the window.
type slidingWindow struct{}

const (
	slidingGrains = 10                // of a window
	slidingCells  = slidingGrains + 1 // the oldest is in the window in part
	offsetBits    = 10
	cellBits      = 32 - offsetBits

	// maxSliding is the largest quota of a sliding window: what a cell holds.
	maxSliding = 1<<cellBits - 1
	// minSliding is the shortest sliding window, in milliseconds: a grain is a
	// whole number of them.
	minSliding = slidingGrains
)

func grainOf(window int64) int64 { return (window + slidingGrains - 1) / slidingGrains }

// unit is how many milliseconds one step of an offset is.
func (b shape) unit() int64 { return (b.grain + 1<<offsetBits - 1) >> offsetBits }

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// cell is the i-th cell, the newest first.
func (s *state) cell(i int) uint32 { return uint32(s[(i+1)/2] >> (32 * ((i + 1) % 2))) }

func (s *state) setCell(i int, c uint32) {
	shift := 32 * ((i + 1) % 2)
	word := &s[(i+1)/2]
	*word = *word&^(0xffffffff<<shift) | uint64(c)<<shift
}

// newest is the number of the newest grain, which is near now's.
func (s *state) newest(b shape, now int64) int64 {
	g := floorDiv(now, b.grain)
	return g - int64(int32(uint32(g)-uint32(s[0])))
}

// sum is what all cells hold.
func (s *state) sum() uint32 {
	n := s[0] >> 32 & maxSliding
	for _, w := range s[1:] {
		n += w&maxSliding + w>>32&maxSliding
	}
	return uint32(n)
}

// end is when the requests of a cell leave the window.
func (b shape) end(grain int64, cell uint32) int64 {
	offset := int64(cell>>cellBits) + 1
	return grain*b.grain + min(offset*b.unit(), b.grain) - 1 + b.window
}

// add counts n more in the newest cell, the last of them at now.
func (s *state) add(n uint32, b shape, now int64) {
	into := max(0, now-s.newest(b, now)*b.grain)
	c := s.cell(0)
	s.setCell(0, max(c>>cellBits, uint32(into/b.unit()))<<cellBits|(c&maxSliding+n))
}

func (w slidingWindow) settle(s *state, b shape, now int64) {
	if *s == (state{}) {
		return
	}
	newest := w.advance(s, b, now)
	for i := slidingCells - 1; i >= 0; i-- { // the oldest leaves first
		c := s.cell(i)
		if c == 0 {
			continue
		}
		if b.end(newest-int64(i), c) > now {
			return
		}
		s.setCell(i, 0)
	}
	*s = state{}
}

// advance makes now's grain the newest, and gives its number. Where the clock was
// set back all counts as admitted now: it is gone a window later. A clock that is
// corrected by less than a grain changes nothing.
func (slidingWindow) advance(s *state, b shape, now int64) (newest int64) {
	g := floorDiv(now, b.grain)
	by := int64(int32(uint32(g) - uint32(s[0])))
	switch {
	case by == 0 || by == -1:
		return g - by
	case by < 0:
		n := min(s.sum(), maxSliding)
		*s = state{uint64(uint32(g))}
		s.add(n, b, now)
	case by >= slidingCells:
		*s = state{uint64(uint32(g))}
	default:
		for i := slidingCells - 1; i >= 0; i-- {
			older := uint32(0)
			if i >= int(by) {
				older = s.cell(i - int(by))
			}
			s.setCell(i, older)
		}
		s[0] = s[0]>>32<<32 | uint64(uint32(g))
	}
	return g
}

func (slidingWindow) reading(s *state, b shape, now int64) (used uint32, reset int64) {
	if *s == (state{}) {
		return 0, b.window
	}
	newest := s.newest(b, now)
	for i := range slidingCells {
		if c := s.cell(i); c != 0 {
			return s.sum(), min(b.end(newest-int64(i), c)-now, b.window)
		}
	}
	return 0, b.window
}

// wait counts the oldest cells off until cost fits.
func (slidingWindow) wait(s *state, b shape, now int64, cost uint32) int64 {
	left, newest := s.sum(), s.newest(b, now)
	for i := slidingCells - 1; i >= 0; i-- {
		c := s.cell(i)
		if c == 0 {
			continue
		}
		if left -= c & maxSliding; left+cost <= b.quota {
			return b.end(newest-int64(i), c) - now
		}
	}
	return b.window
}

func (slidingWindow) take(s *state, b shape, now int64, cost uint32) {
	if *s == (state{}) {
		s[0] = uint64(uint32(floorDiv(now, b.grain)))
	}
	s.add(cost, b, now)
}
