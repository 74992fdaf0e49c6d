package keyed

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sethvargo/go-limiter/memorystore"
	"github.com/throttled/throttled/v2"
	throttledstore "github.com/throttled/throttled/v2/store/memstore"
	ulule "github.com/ulule/limiter/v3"
	ululestore "github.com/ulule/limiter/v3/drivers/store/memory"
	"golang.org/x/time/rate"
)

const (
	window = time.Hour
	plenty = 1 << 30 // requests a window: nothing is refused
)

// Peer is a limiter by host. Check tells whether it admits one request more.
type Peer struct {
	Name  string
	Check func(host string) bool
	Close func()
}

// Peers are the limiters of every full run, or with all also those that are
// slower to measure than they are interesting.
func Peers(all bool) ([]Peer, error) {
	makers := []func() (Peer, error){goLimiter, thingsBoard}
	if all {
		makers = append(makers, throttledPeer, ululePeer, timeRate)
	}
	peers := make([]Peer, len(makers))
	for i, make := range makers {
		var err error
		if peers[i], err = make(); err != nil {
			return nil, err
		}
	}
	return peers, nil
}

func goLimiter() (Peer, error) {
	s, err := memorystore.New(&memorystore.Config{
		Tokens: plenty, Interval: window, SweepInterval: 6 * window, SweepMinTTL: 12 * window,
	})
	if err != nil {
		return Peer{}, err
	}
	ctx := context.Background()
	return Peer{
		Name:  "go-limiter",
		Check: func(host string) bool { _, _, _, ok, err := s.Take(ctx, host); return ok && err == nil },
		Close: func() { _ = s.Close(ctx) },
	}, nil
}

// interval is what ThingsBoard's rate limit service keeps of a host: a count
// since a start, and when the host was last seen.
type interval struct{ count, start, last atomic.Int64 }

// thingsBoard is ThingsBoard's algorithm as its behaviour tells it: a concurrent
// map from the host's text to an interval's counters, the clock read twice a
// request, and the interval begun anew once it is over.
func thingsBoard() (Peer, error) {
	var hosts sync.Map
	now := func() int64 { return time.Now().UnixMilli() }
	check := func(host string) bool {
		v, ok := hosts.Load(host)
		if !ok {
			fresh := new(interval)
			fresh.start.Store(now())
			v, _ = hosts.LoadOrStore(host, fresh)
		}
		c := v.(*interval)
		if t := now(); t-c.start.Load() > window.Milliseconds() {
			c.start.Store(t)
			c.count.Store(0)
		}
		c.last.Store(now())
		return c.count.Add(1) <= plenty
	}
	return Peer{Name: "ThingsBoard's", Check: check, Close: hosts.Clear}, nil
}

func throttledPeer() (Peer, error) {
	store, err := throttledstore.NewCtx(0)
	if err != nil {
		return Peer{}, err
	}
	l, err := throttled.NewGCRARateLimiterCtx(store, throttled.RateQuota{
		MaxRate: throttled.PerSec(1_000_000), MaxBurst: plenty,
	})
	if err != nil {
		return Peer{}, err
	}
	ctx := context.Background()
	check := func(host string) bool { over, _, err := l.RateLimitCtx(ctx, host, 1); return !over && err == nil }
	return Peer{Name: "throttled", Check: check, Close: func() {}}, nil
}

func ululePeer() (Peer, error) {
	store := ululestore.NewStoreWithOptions(ulule.StoreOptions{Prefix: "bench", CleanUpInterval: window})
	l := ulule.New(store, ulule.Rate{Period: window, Limit: plenty})
	ctx := context.Background()
	check := func(host string) bool { c, err := l.Get(ctx, host); return err == nil && !c.Reached }
	return Peer{Name: "ulule", Check: check, Close: func() {}}, nil
}

// timeRate is how x/time/rate is used by host: one limiter each in a map.
func timeRate() (Peer, error) {
	var hosts sync.Map
	check := func(host string) bool {
		v, ok := hosts.Load(host)
		if !ok {
			v, _ = hosts.LoadOrStore(host, rate.NewLimiter(plenty, plenty))
		}
		return v.(*rate.Limiter).Allow()
	}
	return Peer{Name: "x/time/rate", Check: check, Close: hosts.Clear}, nil
}

// Names are the texts of hosts 0 to n-1.
func Names(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = netip.Addr.String(Addr(uint32(i)))
	}
	return names
}
