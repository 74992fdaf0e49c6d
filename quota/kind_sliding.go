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

// cells are a state in the open.
type cells struct {
	grain int64 // the number of the newest
	at    [slidingCells]uint32
}

func grainOf(b shape) int64 { return (b.window + slidingGrains - 1) / slidingGrains }

// unitOf is the millisecond's share of a grain that an offset counts.
func unitOf(grain int64) int64 { return (grain + 1<<offsetBits - 1) >> offsetBits }

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func openCells(s *state, b shape, now int64) cells {
	g := floorDiv(now, grainOf(b))
	c := cells{grain: g - int64(int32(uint32(g)-uint32(s[0])))}
	for i := range c.at {
		c.at[i] = uint32(s[(i+1)/2] >> (32 * ((i + 1) % 2)))
	}
	return c
}

func (c *cells) close(s *state) {
	*s = state{uint64(uint32(c.grain))}
	for i, cell := range c.at {
		s[(i+1)/2] |= uint64(cell) << (32 * ((i + 1) % 2))
	}
}

// end is when the i-th cell leaves the window.
func (c *cells) end(i int, b shape) int64 {
	grain := grainOf(b)
	offset := int64(c.at[i]>>cellBits) + 1
	return (c.grain-int64(i))*grain + min(offset*unitOf(grain), grain) - 1 + b.window
}

func (c *cells) count(i int) uint32 { return c.at[i] & maxSliding }

// add counts n more in the newest cell, the last of them at now.
func (c *cells) add(n uint32, b shape, now int64) {
	grain := grainOf(b)
	offset := uint32(max(0, now-c.grain*grain) / unitOf(grain))
	c.at[0] = max(c.at[0]>>cellBits, offset)<<cellBits | (c.count(0) + n)
}

func (c *cells) sum() uint32 {
	n := uint32(0)
	for i := range c.at {
		n += c.count(i)
	}
	return n
}

// advance makes now's grain the newest. Where the clock was set back all counts
// as admitted now: it is gone a window later. A clock that is corrected by less
// than a grain changes nothing.
func (c *cells) advance(b shape, now int64) {
	g := floorDiv(now, grainOf(b))
	switch by := g - c.grain; {
	case by == -1:
	case by < 0:
		n := c.sum()
		*c = cells{grain: g}
		c.add(min(n, maxSliding), b, now)
	case by >= slidingCells:
		*c = cells{grain: g}
	case by > 0:
		copy(c.at[by:], c.at[:slidingCells-by])
		clear(c.at[:by])
		c.grain = g
	}
}

func (slidingWindow) settle(s *state, b shape, now int64) {
	if *s == (state{}) {
		return
	}
	c := openCells(s, b, now)
	c.advance(b, now)
	for i := range c.at {
		if c.at[i] != 0 && c.end(i, b) <= now {
			c.at[i] = 0
		}
	}
	if c.sum() == 0 {
		*s = state{}
		return
	}
	c.close(s)
}

func (slidingWindow) reading(s *state, b shape, now int64) (used uint32, reset int64) {
	if *s == (state{}) {
		return 0, b.window
	}
	c := openCells(s, b, now)
	for i := range c.at {
		if c.at[i] != 0 {
			return c.sum(), min(c.end(i, b)-now, b.window)
		}
	}
	return 0, b.window
}

// wait counts the oldest cells off until cost fits.
func (slidingWindow) wait(s *state, b shape, now int64, cost uint32) int64 {
	c := openCells(s, b, now)
	left := c.sum()
	for i := slidingCells - 1; i >= 0; i-- {
		if c.at[i] == 0 {
			continue
		}
		if left -= c.count(i); left+cost <= b.quota {
			return c.end(i, b) - now
		}
	}
	return b.window
}

func (slidingWindow) take(s *state, b shape, now int64, cost uint32) {
	c := cells{grain: floorDiv(now, grainOf(b))}
	if *s != (state{}) {
		c = openCells(s, b, now)
	}
	c.add(cost, b, now)
	c.close(s)
}
