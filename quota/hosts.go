package quota

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Hosts is the host quota: a fixed window of admitted requests for each host,
// which starts at the host's first request, and what the report tells of it.
//
// At HostsConfig.MaxHosts a new host takes the place of the least active of
// some 32 that are looked at, fewer if one of the first was admitted once or
// never: one without a live window, else one known only by datagrams that
// anybody may have forged, else one counted. One that is being
// refused stays until its window ends, whatever strangers come; forged
// datagrams never take a counted host's place. A new host that finds no place
// shares one window with all that share its segment (some 1024 hosts).
//
// All methods are safe for concurrent use. A check that is admitted into a live
// window takes no lock; no other blocks for longer than it takes to walk or move
// one segment of the table, some 40 KB. Run and Sweep are for one goroutine.
type Hosts struct {
	clock        Clock
	coarse       *CoarseClock // clock, if it is one: spares a check a call and two conversions
	onTransition func(Transition)
	settings     atomic.Pointer[settings]
	reloaded     chan struct{} // wakes Run; holds one
	table        *table
	departed     departed
	spells       spellBook

	reportMu sync.Mutex // guards reported; one report at a time
	reported time.Time  // when the last report was made
}

// NewHosts makes a Hosts; the error joins every Fault of cfg. Nothing runs
// until Run does: without it hosts are neither forgotten nor told recovered.
func NewHosts(cfg *HostsConfig) (*Hosts, error) {
	if err := join(cfg.Validate()); err != nil {
		return nil, err
	}
	h := &Hosts{
		clock: cfg.Clock, onTransition: cfg.OnTransition,
		reloaded: make(chan struct{}, 1), table: newTable(cfg.MaxHosts),
	}
	if h.clock == nil {
		h.clock = SystemClock{}
	}
	if h.onTransition == nil {
		h.onTransition = func(Transition) {}
	}
	h.coarse, _ = h.clock.(*CoarseClock)
	h.settings.Store(cfg.settings())
	h.reported = h.clock.Now()
	return h, nil
}

// Reload puts cfg in force at once, but for MaxHosts, Clock and OnTransition.
// No count is lost: a live window keeps what it admitted and ends one new
// Interval after its start. Where the quota is off now, every spell ends. With
// faults, which the error joins, all stays as it was.
func (h *Hosts) Reload(cfg *HostsConfig) error {
	if err := join(cfg.Validate()); err != nil {
		return err
	}
	h.settings.Store(cfg.settings())
	select {
	case h.reloaded <- struct{}{}:
	default: // Run has yet to see the last reload, and will see this one then
	}
	if !cfg.Enabled {
		h.TellRecovered()
	}
	return nil
}

// Policy is the policy in force; nil while the host quota is off.
func (h *Hosts) Policy() *Policy { return h.settings.Load().policy }

// Run forgets silent hosts every CleanPeriod and tells recoveries, until ctx
// ends; it then returns nil. Call it once.
func (h *Hosts) Run(ctx context.Context) error {
	st := h.settings.Load()
	clean, spells := time.NewTicker(st.clean), time.NewTicker(st.recoveryPeriod())
	defer clean.Stop()
	defer spells.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-clean.C:
			h.Sweep()
		case <-spells.C:
			h.TellRecovered()
		case <-h.reloaded:
			old := st
			st = h.settings.Load()
			if st.clean != old.clean { // or frequent reloads would put off every sweep
				clean.Reset(st.clean)
			}
			spells.Reset(st.recoveryPeriod())
		}
	}
}

// Sweep forgets the hosts that have been silent for TTL and whose windows have
// ended, and gives memory back that is needed no more. Run does it. A check
// waits for it at most while one segment is swept, and only if it finds its
// window over, refuses, or brings a new host.
func (h *Hosts) Sweep() {
	st, now := h.settings.Load(), h.now()
	for i := range h.table.segments {
		h.sweep(cursor{h.table, &h.table.segments[i]}, st, now)
	}
}

func (h *Hosts) sweep(c cursor, st *settings, now int64) {
	c.segment.mu.Lock()
	defer c.segment.mu.Unlock()
	live := c.live
	for b := range c.size() {
		for i := 0; i < bucketSlots; {
			if h.sweepSlot(c, place{b, i}, st, now) {
				continue // another may lie here now
			}
			i++
		}
	}
	c.swept += uint64(live - c.live)
	c.compact()
}

// sweepSlot frees the slot at p if it is silent.
func (h *Hosts) sweepSlot(c cursor, p place, st *settings, now int64) bool {
	e := c.at(p)
	if e.tag.Load() == 0 {
		return false
	}
	c.settle(e, now, st.sweepLength())
	if now-lastSeen(e.seen.Load()) < st.ttl || c.slotRank(e, now, st.policy) != idle {
		return false
	}
	h.depart(c, c.remove(p))
	return true
}

// HostsStats are figures on the table. The counts never fall.
type HostsStats struct {
	Hosts         int    // kept now
	Capacity      int    // kept at most: MaxHosts
	Evicted       uint64 // hosts forgotten to make room
	Overflowed    uint64 // requests of hosts that found no room
	Swept         uint64 // hosts forgotten for their silence
	Spells        int    // hosts in a spell of exceeding now
	SpellsDropped uint64 // refusals that began no spell, since MaxSpells were on; once a host and window
}

// Stats are the figures now. It takes every segment's lock in turn: call it
// for a scrape, not for a request.
func (h *Hosts) Stats() HostsStats {
	var st HostsStats
	for i := range h.table.segments {
		s := &h.table.segments[i]
		s.mu.Lock()
		st.Hosts += s.live
		st.Capacity += s.capacity
		st.Evicted += s.evicted
		st.Overflowed += s.overflowed
		st.Swept += s.swept
		s.mu.Unlock()
	}
	st.Spells, st.SpellsDropped = int(h.spells.live.Load()), h.spells.dropped.Load()
	return st
}

func (h *Hosts) now() int64 {
	if h.coarse != nil {
		return h.coarse.milli()
	}
	return h.clock.Now().UnixMilli()
}

// moment is the time that is ms milliseconds after the Unix epoch.
func moment(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
