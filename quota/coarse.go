package quota

import (
	"context"
	"sync/atomic"
	"time"
)

const (
	coarseTick = time.Millisecond
	// coarsePark is how many ticks in which nobody asked end the ticking: one in
	// a thousand of a second is then spent on it, if somebody asks once a second.
	coarsePark = 16
)

// CoarseClock is the machine's clock, read once a millisecond while it is asked
// for the time, and not at all while it is not: asking it costs a fraction of
// time.Now. The time may be late by a millisecond, and by what the system
// takes to run a goroutine. It must be made by NewCoarseClock; all methods are
// safe for concurrent use. Unless Run runs, it is SystemClock.
type CoarseClock struct {
	ms    atomic.Int64 // Unix ms; 0: nobody ticks
	asked atomic.Bool  // since the last tick
	wake  chan struct{}
}

// NewCoarseClock makes a CoarseClock, which does not tick until Run runs.
func NewCoarseClock() *CoarseClock { return &CoarseClock{wake: make(chan struct{}, 1)} }

// Now is the time, in whole milliseconds where the clock ticks.
func (c *CoarseClock) Now() time.Time { return time.UnixMilli(c.milli()) }

// milli is the time in Unix ms.
func (c *CoarseClock) milli() int64 {
	if ms := c.ms.Load(); ms != 0 {
		if !c.asked.Load() { // one store a tick, so that readers share the line
			c.asked.Store(true)
		}
		return ms
	}
	return c.awaken()
}

// awaken has the clock tick again, and is the time meanwhile.
func (c *CoarseClock) awaken() int64 {
	select {
	case c.wake <- struct{}{}:
	default: // somebody did
	}
	return time.Now().UnixMilli()
}

// Run ticks while the clock is in use, until ctx ends; it then returns nil.
// Call it once at a time.
func (c *CoarseClock) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.wake:
			c.tick(ctx)
		}
	}
}

// tick ticks until nobody asks any more.
func (c *CoarseClock) tick(ctx context.Context) {
	defer c.ms.Store(0)
	t := time.NewTicker(coarseTick)
	defer t.Stop()
	c.ms.Store(time.Now().UnixMilli())
	for idle := 0; idle < coarsePark; idle++ {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		c.ms.Store(time.Now().UnixMilli())
		if c.asked.Swap(false) {
			idle = -1
		}
	}
}
