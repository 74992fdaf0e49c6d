package hostlist

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Defaults of Config.
const (
	// DefaultRefresh is how often a name is resolved anew.
	DefaultRefresh = time.Minute
	// DefaultMaxPut is how many prefixes Put lists at most. One takes some 400
	// bytes, so that all together take some 400 MB.
	DefaultMaxPut = 1_000_000
)

// Resolver resolves host names; *net.Resolver is one. It must be safe for
// concurrent use and return soon after ctx ends.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Config is what Lists are made of. The zero Config is ready to use.
type Config struct {
	// Resolver resolves the names; nil means net.DefaultResolver.
	Resolver Resolver
	// Log is told when a name stops to resolve, and when it does again: one
	// line per name and change. nil means no log.
	Log *slog.Logger
	// Now is the clock by which entries expire; nil means time.Now. It must be
	// safe for concurrent use.
	Now func() time.Time
	// Refresh is how often each name is resolved anew, give or take a tenth;
	// 0 means DefaultRefresh.
	Refresh time.Duration
	// MaxPut is how many prefixes the entries of Put may have together: an
	// address or a prefix is one, a range is up to 62 (IPv4) or 254 (IPv6), a
	// name counts as 64. 0 means DefaultMaxPut.
	MaxPut int
}

// Lists are the white list and the black list. All methods are safe for
// concurrent use; Verdict takes no lock, and none waits for DNS but Resolve.
//
// The most specific entry decides: the one of the longest prefix. A single
// address is a prefix of full length, and so is each address of a name; a range
// counts as the prefixes it is made of. At equal length allow beats deny. A
// denied name gives way to any entry that allows the host, however short: who
// owns a name could otherwise point it at hosts that the operator trusts. For
// the same reason a denied name does not deny loopback addresses that DNS gave
// it (many resolvers answer so for a blocked name); "localhost" itself does.
type Lists struct {
	cfg      Config
	snap     atomic.Pointer[snapshot]
	expiring chan struct{} // rung when the next expiry may have changed
	unasked  chan struct{} // rung when there are names never asked for

	mu      sync.Mutex // guards the fields below, and who stores snap
	sites   sites
	set     []*listing // what Set listed, also what has expired since
	names   map[string]*name
	queue   expiries
	weight  int // of what Put listed
	entries [2]int
}

// New makes empty Lists: every host is Neutral. Names are resolved again, and
// entries expire, only while Run runs.
func New(cfg *Config) *Lists {
	l := &Lists{
		cfg:      *cfg,
		expiring: make(chan struct{}, 1),
		unasked:  make(chan struct{}, 1),
		sites:    sites{at: make(map[netip.Prefix][]*listing)},
		names:    make(map[string]*name),
	}
	if l.cfg.Resolver == nil {
		l.cfg.Resolver = net.DefaultResolver
	}
	if l.cfg.Log == nil {
		l.cfg.Log = slog.New(slog.DiscardHandler)
	}
	if l.cfg.Now == nil {
		l.cfg.Now = time.Now
	}
	if l.cfg.Refresh <= 0 {
		l.cfg.Refresh = DefaultRefresh
	}
	if l.cfg.MaxPut <= 0 {
		l.cfg.MaxPut = DefaultMaxPut
	}
	l.snap.Store(l.sites.build())
	return l
}

// Verdict is what the lists say of addr, which must be canonical (Canonical);
// Neutral for an invalid one. It takes no lock and allocates nothing.
func (l *Lists) Verdict(addr netip.Addr) Verdict { return l.snap.Load().verdict(addr) }

// Match is a verdict and what it rests on.
type Match struct {
	Verdict Verdict
	Entry   Entry // zero if Verdict is Neutral
	List    List  // of Entry
}

// Match is what the lists say of addr in any form, and the entry that decides.
// It takes a lock: it is for explanations, not for requests.
func (l *Lists) Match(addr netip.Addr) Match {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.snap.Load().place(Canonical(addr))
	x := l.sites.decider(p)
	if x == nil {
		return Match{}
	}
	return Match{Verdict: x.verdict(), Entry: x.entry, List: x.list}
}

// Stats are the lists' sizes.
type Stats struct {
	Allow    int // entries of the white list
	Deny     int // entries of the black list
	Put      int // prefixes of what Put listed, as Config.MaxPut counts them
	Prefixes int // distinct prefixes in the table, resolved names' addresses among them
	Names    int // distinct host names
	Failing  int // names whose last look-up failed
}

// Stats counts. It takes a lock.
func (l *Lists) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := Stats{
		Allow:    l.entries[Allow],
		Deny:     l.entries[Deny],
		Put:      l.weight,
		Prefixes: len(l.sites.at),
		Names:    len(l.names),
	}
	for _, n := range l.names {
		if n.state == failing {
			s.Failing++
		}
	}
	return s
}

// publish makes the changes since the last call visible, all at once. The
// caller holds mu.
func (l *Lists) publish() {
	old := l.snap.Load()
	if s := l.sites.next(old); s != old {
		l.snap.Store(s)
	}
}

// ring wakes whoever waits for c; once is enough for any number of rings.
func ring(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
