package quota_test

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/quota"
)

const stormers = 8

// storm runs do in 8 goroutines, and beside them all that walks the table,
// until they are done.
func storm(h *quota.Hosts, beside, do func(worker int)) {
	var workers, others sync.WaitGroup
	done := make(chan struct{})
	for i := range 2 {
		others.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					beside(i)
				}
			}
		})
	}
	for w := range stormers {
		workers.Go(func() { do(w) })
	}
	workers.Wait()
	close(done)
	others.Wait()
}

// No window admits more than its quota and no admitted request is lost, while
// the table grows, evicts, is swept, reported and reloaded.
func TestAStormLosesNoTick(t *testing.T) {
	const hot, quotaEach, tries = 5, 2000, 4000
	cfg := config(newClock())
	cfg.Limit, cfg.MaxHosts = quotaEach, 3000
	h := newHosts(t, cfg)
	var admittedTo, unverifiedTo [hot]atomic.Uint64
	for i := range hot { // busier than any stranger, so that no room is made of them
		for range 10 {
			h.Check(stranger(i), overHTTP)
			admittedTo[i].Add(1)
		}
	}
	var reported atomic.Uint64
	beside := func(which int) {
		if which == 0 {
			reported.Add(h.Report(10).Requests)
			h.Top(3)
			return
		}
		h.Sweep()
		_ = h.Reload(cfg)
		h.TellRecovered()
		h.Stats()
	}
	storm(h, beside, func(w int) {
		for i := range tries {
			k := i % hot
			if !h.Check(stranger(k), overHTTP).Refused {
				admittedTo[k].Add(1)
			}
			if !h.CheckUnverified(stranger(k), overCoAP).Refused {
				unverifiedTo[k].Add(1)
			}
			h.Check(stranger(1000+w*tries+i), overMQTT)
		}
	})
	for i := range hot {
		require.EqualValues(t, quotaEach, admittedTo[i].Load())
		require.EqualValues(t, quotaEach, unverifiedTo[i].Load())
	}
	require.EqualValues(t, hot*10+3*stormers*tries, reported.Load()+h.Report(10).Requests)
	require.LessOrEqual(t, h.Stats().Hosts, 3000)
	require.Positive(t, h.Stats().Evicted)
}

// Everything at once, time and settings included: every request is counted,
// every spell that began ends, and silence empties the table.
func TestAStormThroughWindowsAndReloads(t *testing.T) {
	c := newClock()
	var began, ended atomic.Int64
	cfg := config(c)
	cfg.MaxHosts, cfg.OnTransition = 300, func(t quota.Transition) {
		if t.Exceeded {
			began.Add(1)
		} else {
			ended.Add(1)
		}
	}
	h := newHosts(t, cfg)
	var asked, reported atomic.Uint64
	var reloads atomic.Uint32
	admitted(h, stranger(0), 4) // one spell is on, however the storm is scheduled
	asked.Add(4)
	beside := func(which int) {
		if which == 0 {
			c.move(time.Duration(rand.IntN(3000)-300) * time.Millisecond)
			reported.Add(h.Report(10).Requests)
			h.Lookup(stranger(1))
			return
		}
		n := reloads.Add(1)
		changed := *cfg
		changed.Limit, changed.Enabled = n%5, n%7 != 0
		changed.Interval = time.Duration(1+n%50) * time.Second
		_ = h.Reload(&changed)
		h.Sweep()
		h.TellRecovered()
	}
	storm(h, beside, func(int) {
		for range 10_000 {
			k := stranger(int(rand.ExpFloat64() * 100))
			switch rand.IntN(4) {
			case 0:
				h.CheckUnverified(k, overCoAP)
			case 1:
				h.Discard(k, overHTTP)
			case 2:
				if !h.Peek(k, overCoAP).Refused {
					continue // which counts nothing
				}
			default:
				h.Check(k, overHTTP)
			}
			asked.Add(1)
		}
	})
	require.Equal(t, asked.Load(), reported.Load()+h.Report(10).Requests)
	require.NoError(t, h.Reload(cfg))
	c.move(time.Hour)
	h.Sweep()
	h.TellRecovered()
	require.Zero(t, h.Stats().Hosts)
	require.Zero(t, h.Stats().Spells)
	require.Positive(t, began.Load())
	require.Equal(t, began.Load(), ended.Load())
}
