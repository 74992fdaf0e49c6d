package bus

import (
	"sync/atomic"
	"time"
)

// StoreBuckets are the upper bounds of Stats.StoreSeconds, in seconds. They
// span a single fsync on a fast disk to the contract's ten seconds.
var StoreBuckets = [...]float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}

// Stats is what a Bus did since Open.
type Stats struct {
	Queued    int    // messages waiting now, buried ones included
	Stored    uint64 // messages confirmed, buried ones included
	Batches   uint64 // atomic batches tried
	Refused   uint64 // not accepted: full, too large, a subject too long
	Away      uint64 // not accepted, or accepted and not confirmed: the store was away or full
	Buried    uint64 // messages that Bury accepted
	Published uint64 // events confirmed
	Dropped   uint64 // events given up
	// StoreSeconds counts messages by the time from Submit to completion, stored or
	// not: up to StoreBuckets[i] each, not cumulated; the last is all above.
	StoreSeconds [len(StoreBuckets) + 1]uint64
	// StoreSum is the sum of those times.
	StoreSum time.Duration
}

// counters is what Stats is read from.
type counters struct {
	stored, batches, refused, away, buried, published, dropped atomic.Uint64

	buckets [len(StoreBuckets) + 1]atomic.Uint64
	sum     atomic.Int64
}

// refuse counts a message that was not accepted and returns err.
func (c *counters) refuse(err error) error {
	if err == ErrAway {
		c.away.Add(1)
	} else {
		c.refused.Add(1)
	}
	return err
}

// finish counts a completion.
func (c *counters) finish(err error, took time.Duration) {
	if err == nil {
		c.stored.Add(1)
	} else {
		c.away.Add(1)
	}
	i, seconds := 0, took.Seconds()
	for i < len(StoreBuckets) && seconds > StoreBuckets[i] {
		i++
	}
	c.buckets[i].Add(1)
	c.sum.Add(int64(took))
}

// Stats is a snapshot of the counters; each is exact, all are not of one instant.
func (b *Bus) Stats() Stats {
	c := &b.stats
	s := Stats{
		Queued: b.up.queue.len() + b.dead.queue.len(),
		Stored: c.stored.Load(), Batches: c.batches.Load(), Refused: c.refused.Load(), Away: c.away.Load(),
		Buried: c.buried.Load(), Published: c.published.Load(), Dropped: c.dropped.Load(),
		StoreSum: time.Duration(c.sum.Load()),
	}
	for i := range c.buckets {
		s.StoreSeconds[i] = c.buckets[i].Load()
	}
	return s
}
