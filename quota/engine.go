package quota

import (
	"context"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// MaxMaxKeys is the largest EngineConfig.MaxKeys.
const MaxMaxKeys = 1 << 26

// DefaultMaxKeys is how many pairs of a key and a limit are kept unless
// EngineConfig says so: at most some 100 MB.
const DefaultMaxKeys = 1 << 20

// EngineConfig is what an Engine is made of.
type EngineConfig struct {
	// Policies are charged in this order; see ValidatePolicies. None: every
	// request is admitted.
	Policies []PolicyConfig
	// MaxKeys is how many pairs of a key and a bucket are kept, some 100 bytes
	// each, met to within a 64th; see keyStore. 0 is DefaultMaxKeys. Only
	// NewEngine takes it.
	MaxKeys int
	// Clock is the time; nil is SystemClock. Only NewEngine takes it.
	Clock Clock
	// OnTransition is told when a key goes over a policy and when it has
	// recovered; nil: nobody is. It is called from within Charge and Run, by
	// several goroutines at once, and must not block. Only NewEngine takes it.
	OnTransition func(Transition)
}

// Validate is all that is wrong with c; empty if nothing is.
func (c *EngineConfig) Validate() []Fault {
	var faults []Fault
	for _, f := range ValidatePolicies(c.Policies) {
		faults = append(faults, Fault{"policies" + f.Path, f.Problem})
	}
	if c.MaxKeys < 0 || c.MaxKeys > MaxMaxKeys {
		faults = append(faults, Fault{"maxKeys", "expected 1 to 67108864, or 0 for the default"})
	}
	return faults
}

// Engine holds every policy but the host quota: fixed, clock, sliding and token
// windows for each key of each level. All methods are safe for concurrent use;
// none blocks for longer than it takes to walk one of 64 parts of the table.
type Engine struct {
	clock        Clock
	onTransition func(Transition)
	hasher       hasher
	store        *keyStore
	spells       keySpells
	plan         atomic.Pointer[plan]
	reloading    sync.Mutex // one reload at a time
}

// NewEngine makes an Engine; the error joins every Fault of cfg. Nothing runs
// until Run does: without it keys are neither forgotten nor told recovered.
func NewEngine(cfg *EngineConfig) (*Engine, error) {
	if err := join(cfg.Validate()); err != nil {
		return nil, err
	}
	n := cfg.MaxKeys
	if n == 0 {
		n = DefaultMaxKeys
	}
	e := &Engine{
		clock: cfg.Clock, onTransition: cfg.OnTransition,
		hasher: hasher{maphash.MakeSeed()}, store: newKeyStore(n),
	}
	if e.clock == nil {
		e.clock = SystemClock{}
	}
	if e.onTransition == nil {
		e.onTransition = func(Transition) {}
	}
	e.plan.Store(newPlan(cfg.Policies, e.hasher.seed, nil))
	return e, nil
}

// Reload puts cfg's policies in force at once. A bucket whose policy keeps its
// name, level, key, class and kind, and which keeps its window, keeps every
// count; its quota, mode, date and profile may change. With faults, which the
// error joins, all stays as it was.
func (e *Engine) Reload(cfg *EngineConfig) error {
	if err := join(cfg.Validate()); err != nil {
		return err
	}
	e.reloading.Lock()
	defer e.reloading.Unlock()
	e.plan.Store(newPlan(cfg.Policies, e.hasher.seed, e.plan.Load()))
	e.TellRecovered()
	return nil
}

// Counts tells whether a policy in force counts at a level.
func (e *Engine) Counts(l Level) bool { return e.plan.Load().levels>>l&1 != 0 }

// How often Run does its work.
const (
	sweepPeriod    = 30 * time.Second
	recoveryPeriod = time.Second
)

// Run forgets keys whose windows are over, and tells recoveries, until ctx ends;
// it then returns nil. Call it once.
func (e *Engine) Run(ctx context.Context) error {
	sweep, recovery := time.NewTicker(sweepPeriod), time.NewTicker(recoveryPeriod)
	defer sweep.Stop()
	defer recovery.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-sweep.C:
			e.Sweep()
		case <-recovery.C:
			e.TellRecovered()
		}
	}
}

// Sweep forgets the keys whose windows are over. Run does it.
func (e *Engine) Sweep() {
	now, longest := e.now(), e.plan.Load().longest
	for i := range e.store.shards {
		h := &e.store.shards[i]
		h.mu.Lock()
		h.sweep(now, longest)
		h.mu.Unlock()
	}
}

// TellRecovered ends the spells of keys that were not refused for one whole
// window, and those of policies that are gone, and tells OnTransition so. Run
// does it once a second.
func (e *Engine) TellRecovered() {
	if e.spells.live.Load() == 0 {
		return
	}
	now, p := e.now(), e.plan.Load()
	var due []Transition
	for i := range e.store.shards {
		h := &e.store.shards[i]
		h.mu.Lock()
		due = e.spells.end(h, p, now, due[:0])
		h.mu.Unlock()
		for _, t := range due {
			e.onTransition(t)
		}
	}
}

// PolicyReport is what a policy in force did since it came.
type PolicyReport struct {
	Policy   *Policy
	Shadow   bool   // it only watches now
	Admitted uint64 // requests charged
	Refused  uint64 // requests that it would not let pass
	Shadowed uint64 // requests that it would not have let pass, while it watched
}

// Report is every policy's, in the order of the configuration. The counts never
// fall while a policy is in force.
func (e *Engine) Report() []PolicyReport {
	var all []PolicyReport
	now := e.now()
	for _, g := range e.plan.Load().groups {
		for _, l := range g.limits {
			all = append(all, PolicyReport{
				Policy: l.policy, Shadow: g.shadow(now), Admitted: l.tally.admitted.Load(),
				Refused: l.tally.refused.Load(), Shadowed: l.tally.shadowed.Load(),
			})
		}
	}
	return all
}

// EngineStats are figures on the table of keys. The counts never fall.
type EngineStats struct {
	Keys          int    // pairs of a key and a bucket that are kept now
	Capacity      int    // and at most
	Evicted       uint64 // pairs forgotten to make room
	Overflowed    uint64 // requests whose pair found no room, a count each
	Swept         uint64 // pairs forgotten because their windows were over
	Spells        int    // spells of exceeding now
	SpellsDropped uint64 // refusals that began no spell, since MaxSpells were on
}

// Stats are the figures now. It takes every part's lock in turn: call it for a
// scrape, not for a request.
func (e *Engine) Stats() EngineStats {
	st := EngineStats{
		Capacity: e.store.capacity * numShards,
		Spells:   int(e.spells.live.Load()), SpellsDropped: e.spells.dropped.Load(),
	}
	for i := range e.store.shards {
		h := &e.store.shards[i]
		h.mu.Lock()
		st.Keys += len(h.index)
		st.Evicted += h.evicted
		st.Overflowed += h.overflowed
		st.Swept += h.swept
		h.mu.Unlock()
	}
	return st
}

// Exceeding lists at most n of the spells that are on, the most refused first.
func (e *Engine) Exceeding(n int) []Transition {
	var all []Transition
	now := e.now()
	for i := range e.store.shards {
		h := &e.store.shards[i]
		h.mu.Lock()
		for _, sp := range h.spells {
			all = append(all, sp.transition(now, true))
		}
		h.mu.Unlock()
	}
	slices.SortFunc(all, func(a, b Transition) int {
		switch {
		case a.Refused != b.Refused && a.Refused > b.Refused:
			return -1
		case a.Refused != b.Refused:
			return 1
		}
		return strings.Compare(a.Name, b.Name)
	})
	return all[:min(max(n, 0), len(all))]
}

func (e *Engine) now() int64 { return e.clock.Now().UnixMilli() }
