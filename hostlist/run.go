package hostlist

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// lookupTimeout is how long one look-up may take: what resolv.conf(5) gives
	// one try.
	lookupTimeout = 5 * time.Second
	// lookups is how many names Run resolves at a time, so that long lists do
	// not burden the resolver.
	lookups = 4
	// firstLookups is the same for Resolve, which somebody waits for.
	firstLookups = 64
	// maxWait is how late an expiry may be if the clock is set forward.
	maxWait = time.Second
	// minWait keeps a clock of coarse ticks from being asked in a tight loop.
	minWait = time.Millisecond
)

// Run lets entries expire and resolves names until ctx ends; it returns nil.
// It must run once at a time.
func (l *Lists) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { l.runExpiry(ctx) })
	wg.Go(func() { l.runRefresh(ctx) })
	wg.Wait()
	return nil
}

func (l *Lists) runExpiry(ctx context.Context) {
	for wait(ctx, l.expire(), l.expiring) {
	}
}

// expire drops what has expired, and tells how long to wait before the next
// call; 0 if nothing will expire.
func (l *Lists) expire() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep()
	l.publish()
	if len(l.queue) == 0 {
		return 0
	}
	next := l.queue[0].entry.Expires.Sub(l.cfg.Now())
	return min(max(next, minWait), maxWait)
}

func (l *Lists) runRefresh(ctx context.Context) {
	for ctx.Err() == nil {
		batch, next := l.dueNames()
		if len(batch) == 0 {
			wait(ctx, next, l.unasked)
			continue
		}
		l.lookUp(ctx, batch, lookups, func(w Warning) { l.tell(ctx, w) })
	}
}

// tell logs that a name's state has changed.
func (l *Lists) tell(ctx context.Context, w Warning) {
	if w.Problem == "" {
		l.cfg.Log.InfoContext(ctx, "a listed host name resolves again", "name", w.Name)
		return
	}
	l.cfg.Log.WarnContext(ctx, "a listed host name "+w.Problem, "name", w.Name, "error", w.Err)
}

// dueNames are names to ask for now, those never asked for first; if there are
// none, next is how long to wait before the next call, 0 if for a new name.
func (l *Lists) dueNames() (batch []*name, next time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.cfg.Now()
	var again []*name
	for _, n := range l.names {
		switch {
		case n.local:
		case n.due.IsZero():
			batch = append(batch, n)
		case !now.Before(n.due):
			again = append(again, n)
		case next == 0 || n.due.Sub(now) < next:
			next = n.due.Sub(now)
		}
	}
	// A small batch: a name listed meanwhile waits for one batch at most.
	batch = append(batch, again...)
	if next > 0 {
		next = max(next, minWait)
	}
	return batch[:min(len(batch), lookups)], next
}

// Resolve asks, once, for every name that has never been asked for, and waits
// for the answers, or until ctx ends; Run does the rest. It returns what the
// operator should know, by name; none of it is logged, and Run logs only what
// changes after it.
func (l *Lists) Resolve(ctx context.Context) []Warning {
	names := l.unaskedNames()
	var mu sync.Mutex
	var warnings []Warning
	l.lookUp(ctx, names, firstLookups, func(w Warning) {
		mu.Lock()
		defer mu.Unlock()
		warnings = append(warnings, w)
	})
	slices.SortFunc(warnings, func(a, b Warning) int { return cmp.Compare(a.Name, b.Name) })
	return warnings
}

func (l *Lists) unaskedNames() []*name {
	l.mu.Lock()
	defer l.mu.Unlock()
	var names []*name
	for _, n := range l.names {
		if n.due.IsZero() && !n.local {
			names = append(names, n)
		}
	}
	return names
}

// lookUp asks for names, so many at a time, takes the answers, and tells those
// that change a name's state. A look-up that ctx's end cuts off is no answer:
// the name stays to be asked for.
func (l *Lists) lookUp(ctx context.Context, names []*name, atOnce int, tell func(Warning)) {
	var group errgroup.Group
	group.SetLimit(atOnce)
	for _, n := range names {
		group.Go(func() error {
			l.ask(ctx, n, tell)
			return nil
		})
	}
	_ = group.Wait() // none of them returns an error
}

func (l *Lists) ask(ctx context.Context, n *name, tell func(Warning)) {
	limited, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	found, err := l.cfg.Resolver.LookupNetIP(limited, "ip", n.text)
	if err != nil && ctx.Err() != nil {
		return
	}
	if w, changed := l.learn(n, found, err); changed {
		tell(w)
	}
}

// pause is the time from one look-up of a name to the next, spread so that not
// all names are asked for at once.
func (l *Lists) pause() time.Duration {
	tenth := int64(l.cfg.Refresh / 10)
	return l.cfg.Refresh - time.Duration(tenth) + time.Duration(rand.Int64N(2*tenth+1))
}

// wait waits for so long (0: for ever), until bell rings, or until ctx ends,
// which it tells by false.
func wait(ctx context.Context, d time.Duration, bell <-chan struct{}) bool {
	var over <-chan time.Time
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-ctx.Done():
		return false
	case <-bell:
	case <-over:
	}
	return true
}
