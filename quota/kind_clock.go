package quota

// clockWindow ends where the Unix time is a multiple of the window, for all keys
// at once, so that the time to its end counts down to the full minute. It is
// exact; as for fixedWindow, two windows side by side hold twice the quota. Its
// word is fixedWindow's.
type clockWindow struct{}

// aligned is the start of the window that now lies in.
func aligned(b shape, now int64) int64 {
	into := now % b.window
	if into < 0 { // before 1970
		into += b.window
	}
	return now - into
}

func (clockWindow) settle(s *state, b shape, now int64) {
	start := aligned(b, now)
	age := sinceStart(s[0], start)
	switch {
	case s[0]&countMask == 0 || age > 0:
		s[0] = 0
	case age < 0:
		s[0] = packWindow(start, uint32(s[0]&countMask))
	}
}

func (clockWindow) reading(s *state, b shape, now int64) (used uint32, reset int64) {
	return uint32(s[0] & countMask), aligned(b, now) + b.window - now
}

func (c clockWindow) wait(s *state, b shape, now int64, _ uint32) int64 {
	_, reset := c.reading(s, b, now)
	return reset
}

func (clockWindow) take(s *state, b shape, now int64, cost uint32) {
	s[0] = packWindow(aligned(b, now), uint32(s[0]&countMask)+cost)
}
