package app

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/weirgate/weir/bus"
	"github.com/weirgate/weir/config"
	"github.com/weirgate/weir/control"
	"github.com/weirgate/weir/devices"
	"github.com/weirgate/weir/events"
	"github.com/weirgate/weir/hostlist"
	"github.com/weirgate/weir/quota"
	"github.com/weirgate/weir/transports"
	"github.com/weirgate/weir/transports/coap"
	"github.com/weirgate/weir/transports/http"
	"github.com/weirgate/weir/transports/listen"
	"github.com/weirgate/weir/transports/mqtt"
)

// Options are what an App is made of.
type Options struct {
	// Config is the configuration to run; required.
	Config *config.Loaded
	// Log takes the log; nil is none.
	Log *slog.Logger
	// Version is told in the metrics.
	Version string
	// Store takes what devices send in the place of NATS, for benchmarks of
	// everything else; nil is NATS.
	Store transports.Store
}

// App is a gateway: made by New, run by Start, ended by Stop.
type App struct {
	log     *slog.Logger
	version string
	store   transports.Store
	clock   *quota.CoarseClock // a clock read costs more than a check

	gate     *transports.Gate
	hosts    *quota.Hosts
	policies *quota.Engine
	lists    *hostlist.Lists
	known    *devices.Directory
	events   *events.Events

	// Set by Start; of a listener that is off they stay nil.
	bus       *bus.Bus
	http      *http.Server
	httpConns *listen.Listener
	mqtt      *mqtt.Server
	mqttConns *listen.Listener
	coap      *coap.Server
	fronts    []transport // those that are on
	serving   bool        // they have begun to serve
	control   *control.Server

	group   *errgroup.Group
	failed  context.Context // ends when a goroutine of group fails
	undo    stack
	stop    sync.Once
	stopErr error

	denied  atomic.Uint32 // quota.Profile by which denied hosts are answered
	reloads reloads
	mu      sync.Mutex     // one reload at a time; guards current
	saving  sync.Mutex     // one saveCounters at a time
	current *config.Loaded // in force as far as a reload reaches
	loaded  *config.Loaded // as of New
}

// New makes an App and opens nothing. Its error holds every fault that the
// rooms found in the configuration, each with its place.
func New(opts *Options) (*App, error) {
	a := &App{log: opts.Log, version: opts.Version, store: opts.Store, loaded: opts.Config, current: opts.Config}
	a.clock = quota.NewCoarseClock()
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	plan, err := newPlan(opts.Config)
	if err != nil {
		return nil, err
	}
	if err := a.makeRooms(plan); err != nil {
		return nil, err
	}
	return a, nil
}

// resolveBound is how long a start waits for the names on the lists.
const resolveBound = 2 * time.Second

// Bounds of the steps of a stop. They sum to 9.8 s, under the 10 s of contract
// section 1, also if none of the steps ends.
const (
	drainBound = 3 * time.Second         // for what is in hand to be answered
	lastWords  = 2500 * time.Millisecond // for clients to take the refusal of what is not; MQTT needs 2.25 s
	flushBound = 2 * time.Second         // for the store to write what waits
	flushRest  = 800 * time.Millisecond  // for NATS to close
	closeBound = 200 * time.Millisecond  // for what only has to be told
	closeRest  = 100 * time.Millisecond
)

// Start opens the store and the listeners and serves until Stop. On an error
// everything that was opened is closed again.
func (a *App) Start(ctx context.Context) error {
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	a.group, a.failed = errgroup.WithContext(running)
	a.undo.push("goroutines", closeBound, closeRest, func(context.Context) error {
		cancel()
		return a.group.Wait()
	})
	for _, start := range [...]func(context.Context) error{
		a.startControl, a.startLists, a.startStore, a.startCounters, a.startReports, a.startTransports,
	} {
		if err := start(ctx); err != nil {
			return errors.Join(err, a.Stop(context.WithoutCancel(ctx)))
		}
	}
	a.reloads.last.Store(a.clock.Now().Unix())
	a.control.SetReady()
	a.undo.push("readiness", closeBound, closeRest, func(context.Context) error {
		a.control.SetStopping()
		return nil
	})
	return nil
}

// Done is closed when a part of the gateway has failed and Stop is due.
func (a *App) Done() <-chan struct{} { return a.failed.Done() }

// Stop ends the gateway: readiness fails, listeners stop accepting, what is in
// hand is answered, reports and store are flushed, NATS is closed, and control
// last. Each step is bounded, all together by 10 s. What is not answered by
// then is refused, and what does not end is left: that is logged as a warning
// and no error, since clients and a store that are away are no fault of the
// gateway. A second call waits for the first and returns what it returned.
func (a *App) Stop(ctx context.Context) error {
	a.stop.Do(func() {
		var late error
		if late, a.stopErr = a.undo.unwind(ctx); late != nil {
			a.log.Warn("the stop did not wait for all that was in hand", "err", late)
		}
	})
	return a.stopErr
}

// run adds a goroutine that lasts as long as the gateway.
func (a *App) run(loop func(context.Context) error) {
	a.group.Go(func() error {
		if err := loop(a.failed); err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
		return nil
	})
}
