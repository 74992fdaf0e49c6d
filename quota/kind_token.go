package quota

// tokenBucket holds quota tokens when it is full and refills evenly, a whole
// bucket in one window: ThingsBoard's capacity:seconds. It is exact, fractions
// of a token included. Whoever has been idle may burst the whole quota at once,
// so that one window, however it lies, admits at most twice the quota.
//
// Its words are the debt (what is missing from a full bucket, in units of a
// token divided by the window's milliseconds, so that quota units come back each
// millisecond; under 2^60) and the time it was settled, in Unix milliseconds.
type tokenBucket struct{}

func (tokenBucket) settle(s *state, b shape, now int64) {
	if s[0] == 0 {
		s[1] = 0
		return
	}
	elapsed := max(0, now-int64(s[1]))
	if elapsed >= b.window {
		*s = state{}
		return
	}
	s[0] -= min(s[0], uint64(elapsed)*uint64(b.quota))
	s[1] = uint64(now)
}

func (tokenBucket) reading(s *state, b shape, _ int64) (used uint32, reset int64) {
	if s[0] == 0 {
		return 0, 0
	}
	return uint32(ceilDiv(s[0], uint64(b.window))), refill(s[0], b)
}

func (tokenBucket) wait(s *state, b shape, _ int64, cost uint32) int64 {
	return refill(s[0]-min(s[0], uint64(b.quota-cost)*uint64(b.window)), b)
}

func (tokenBucket) take(s *state, b shape, now int64, cost uint32) {
	s[0] += uint64(cost) * uint64(b.window)
	s[1] = uint64(now)
}

// refill is how many milliseconds it takes until debt has come back, at most a
// window: a reload may have lowered the quota under what is used.
func refill(debt uint64, b shape) int64 {
	if b.quota == 0 {
		return b.window
	}
	return min(int64(ceilDiv(debt, uint64(b.quota))), b.window)
}

func ceilDiv(a, b uint64) uint64 { return (a + b - 1) / b }
