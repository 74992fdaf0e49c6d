package quota

// fixedWindow begins with the first request that it admits and ends one window
// later. It is exact. The bound on two windows side by side is twice the quota:
// one at the end of the first, one at the begin of the second.
//
// Its word is the window's start (the low 36 bits of the Unix milliseconds,
// which tell two years apart) and the count in 28 bits. A window that holds
// nothing has not begun.
type fixedWindow struct{}

const (
	countBits = 28
	countMask = 1<<countBits - 1
)

func packWindow(start int64, count uint32) uint64 {
	return uint64(start)<<countBits | uint64(count)
}

// sinceStart is the time from the start of the window in w until now; under 0
// where the clock was set back.
func sinceStart(w uint64, now int64) int64 {
	return int64((uint64(now)-w>>countBits)<<countBits) >> countBits
}

func (fixedWindow) settle(s *state, b shape, now int64) {
	age := sinceStart(s[0], now)
	switch {
	case s[0]&countMask == 0 || age >= b.window:
		s[0] = 0
	case age < 0:
		s[0] = packWindow(now, uint32(s[0]&countMask))
	}
}

func (fixedWindow) reading(s *state, b shape, now int64) (used uint32, reset int64) {
	if s[0] == 0 {
		return 0, b.window
	}
	return uint32(s[0] & countMask), b.window - sinceStart(s[0], now)
}

func (f fixedWindow) wait(s *state, b shape, now int64, _ uint32) int64 {
	_, reset := f.reading(s, b, now)
	return reset
}

func (fixedWindow) take(s *state, _ shape, now int64, cost uint32) {
	if s[0] == 0 {
		s[0] = packWindow(now, 0)
	}
	s[0] += uint64(cost)
}
