package events

import (
	"context"
	"log/slog"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirgate/weir/quota"
)

// Publisher sends events on their way.
type Publisher interface {
	// PublishEvent sends event, CloudEvents' structured JSON, under name
	// ("offenders"). It neither blocks nor keeps event.
	PublishEvent(name string, event []byte)
}

// DefaultInterval is how often offenders are reported unless the configuration
// says so (seeds/thingsboard-api-limits.md: intervalMin 2).
const DefaultInterval = 2 * time.Minute

// Config is what Events is made of. All but Log and Now are required.
type Config struct {
	// Node names this gateway in each event's source and data.
	Node      string
	Publisher Publisher
	// Log takes the report's line, and at most maxLines lines a minute of
	// spells. nil: nothing is logged.
	Log *slog.Logger
	// Now is the clock of what no other room dates. nil: time.Now.
	Now func() time.Time
	// Report is what the quota counted since it was asked last, with the n
	// busiest hosts.
	Report func(n int) quota.Report
	// OriginNames are the transports that an Origin's bits stand for.
	OriginNames func(quota.Origin) []string
	// Verdict is what the lists say of a host: neutral, allowed or denied.
	Verdict func(netip.Addr) string
	// TopSize is how many hosts a report lists. 0 or less: none.
	TopSize int
	// Interval is the time between reports. 0 or less: DefaultInterval.
	Interval time.Duration
}

// Bounds of what waits to be told. An item is some 200 bytes, with the longest
// names 2 KiB: 16 MiB in all. What does not fit is dropped and counted.
const (
	maxSpells   = 4096
	maxPresence = 4096
)

// Stats is what Events has done since it was made.
type Stats struct {
	Published uint64 // events handed to the Publisher
	Dropped   uint64 // events lost because too many were waiting
}

// Events tells what happens. All methods are safe for concurrent use.
type Events struct {
	cfg      Config
	source   string
	spells   chan quota.Transition
	presence chan presence
	changed  chan struct{} // SetLog was called; one is enough
	lines    lineBudget

	published, dropped atomic.Uint64

	mu       sync.Mutex // guards what follows
	topSize  int
	interval time.Duration
	reported time.Time // when the last report was told, or New was called

	reporting sync.Mutex // one report at a time
	flush     sync.Once
}

// New is Events that says nothing before Run.
func New(cfg *Config) *Events {
	e := &Events{
		cfg: *cfg, source: "/weir/" + url.PathEscape(cfg.Node),
		spells:   make(chan quota.Transition, maxSpells),
		presence: make(chan presence, maxPresence),
		changed:  make(chan struct{}, 1),
		reported: time.Now(),
	}
	if e.cfg.Log == nil {
		e.cfg.Log = slog.New(slog.DiscardHandler)
	}
	if e.cfg.Now == nil {
		e.cfg.Now = time.Now
	}
	e.set(cfg.TopSize, cfg.Interval)
	return e
}

func (e *Events) set(topSize int, interval time.Duration) {
	if interval <= 0 {
		interval = DefaultInterval
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.topSize, e.interval = max(topSize, 0), interval
}

// SetLog changes the size and the interval of the report at once: if the last
// report is older than the new interval, one is due now.
func (e *Events) SetLog(topSize int, interval time.Duration) {
	e.set(topSize, interval)
	select {
	case e.changed <- struct{}{}:
	default:
	}
}

// Run tells events and reports until ctx ends; it returns nil. Call Flush once
// nothing more can happen.
func (e *Events) Run(ctx context.Context) error {
	timer := time.NewTimer(e.due())
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case t := <-e.spells:
			e.tellSpell(&t)
		case p := <-e.presence:
			e.tellPresence(&p)
		case <-e.changed:
			timer.Reset(e.due())
		case <-timer.C:
			e.report()
			timer.Reset(e.due())
		}
	}
}

// due is how long until the next report.
func (e *Events) due() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	return max(0, time.Until(e.reported.Add(e.interval)))
}

// Flush tells what still waits and the last report. Only the first call does
// anything; what happens after it is not told.
func (e *Events) Flush() {
	e.flush.Do(func() {
		for {
			select {
			case t := <-e.spells:
				e.tellSpell(&t)
			case p := <-e.presence:
				e.tellPresence(&p)
			default:
				e.report()
				return
			}
		}
	})
}

// Transition tells that a host exceeds its quota or has recovered. It never
// blocks: over maxSpells waiting ones it is dropped and counted.
func (e *Events) Transition(t quota.Transition) {
	select {
	case e.spells <- t:
	default:
		e.dropped.Add(1)
	}
}

// Connected tells that a session began. It never blocks: over maxPresence
// waiting ones it is dropped and counted.
func (e *Events) Connected(s Session) { e.queue(presence{s.clipped(), "", false, e.cfg.Now()}) }

// Disconnected tells that a session ended, and why, in a few words. It never
// blocks, as Connected.
func (e *Events) Disconnected(s Session, reason string) {
	e.queue(presence{s.clipped(), strings.Clone(clip(reason)), true, e.cfg.Now()})
}

func (e *Events) queue(p presence) {
	select {
	case e.presence <- p:
	default:
		e.dropped.Add(1)
	}
}

// Stats is the state of the counters.
func (e *Events) Stats() Stats {
	return Stats{Published: e.published.Load(), Dropped: e.dropped.Load()}
}
