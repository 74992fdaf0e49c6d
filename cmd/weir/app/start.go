package app

import (
	"context"
	"errors"
	"net/netip"
	"runtime"
	"sync"

	"github.com/weirgate/weir/bus"
	"github.com/weirgate/weir/config"
	"github.com/weirgate/weir/control"
	"github.com/weirgate/weir/events"
	"github.com/weirgate/weir/transports"
	"github.com/weirgate/weir/transports/coap"
	"github.com/weirgate/weir/transports/http"
	"github.com/weirgate/weir/transports/listen"
	"github.com/weirgate/weir/transports/mqtt"
)

// startLists resolves the lists' names for the first time, within resolveBound,
// and keeps the lists and the quota's table up to date.
func (a *App) startLists(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, resolveBound)
	defer cancel()
	for _, w := range a.lists.Resolve(bounded) {
		a.log.Warn(w.String())
	}
	a.run(a.clock.Run)
	a.run(a.lists.Run)
	a.run(a.hosts.Run)
	a.run(a.policies.Run)
	return nil
}

// startStore opens NATS and makes the Gate over it.
func (a *App) startStore(ctx context.Context) error {
	cfg := busConfig(&a.loaded.Config.NATS)
	cfg.Log, cfg.Swept = a.log, a.flush
	var err error
	if a.bus, err = bus.Open(ctx, cfg); err != nil {
		return err
	}
	a.undo.push("NATS", flushBound, flushRest, a.bus.Close)
	store := storage{a.bus}
	if a.store == nil {
		a.store = store
	}
	a.makeGate(a.store, store)
	return nil
}

// flush lets the transports write the acknowledgements of a whole sweep at once.
func (a *App) flush() {
	if a.mqtt != nil {
		a.mqtt.Flush()
	}
	if a.coap != nil {
		a.coap.Flush()
	}
}

// transport is what the three front-ends are to the lifetime.
type transport interface {
	Serve() error
	Shutdown(context.Context) error
}

// startTransports opens the device listeners that are on, the last to start and
// the first to stop. All are bound before the first serves, so that nobody is
// served by a gateway that then fails to start.
func (a *App) startTransports(ctx context.Context) error {
	c := &a.loaded.Config.Transports
	a.undo.push("transports", drainBound, lastWords, a.stopTransports)
	for _, t := range [...]struct {
		key, listen string
		bind        func(context.Context) (transport, error)
	}{
		{"http", c.HTTP.Listen, a.bindHTTP}, {"mqtt", c.MQTT.Listen, a.bindMQTT}, {"coap", c.CoAP.Listen, a.bindCoAP},
	} {
		if t.listen == "" {
			continue
		}
		front, err := t.bind(ctx)
		if err != nil {
			return a.fault("transports."+t.key+".listen", err)
		}
		a.fronts = append(a.fronts, front)
	}
	for _, front := range a.fronts {
		a.run(func(context.Context) error { return front.Serve() })
	}
	a.serving = true
	return nil
}

// stopTransports drains them all at once.
func (a *App) stopTransports(ctx context.Context) error {
	errs := make([]error, len(a.fronts))
	var all sync.WaitGroup
	for i, front := range a.fronts {
		all.Go(func() { errs[i] = front.Shutdown(ctx) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// proxied is how a TCP listener's section of the configuration says whom it
// believes about a client's address.
type proxied struct {
	address string
	trusted []string
	header  bool // of the PROXY protocol
}

// bind opens a TCP listener, and gives the proxies that it trusts.
func (p *proxied) bind(ctx context.Context) (*listen.Listener, listen.Prefixes, error) {
	trusted, err := listen.ParsePrefixes(p.trusted)
	if err != nil {
		return nil, nil, err
	}
	ln, err := listen.TCP(ctx, &listen.Config{
		Address: p.address, ProxyProtocol: listen.ProxyProtocol(p.header), TrustedProxies: trusted,
	})
	return ln, trusted, err
}

func (a *App) bindHTTP(ctx context.Context) (transport, error) {
	c := &a.loaded.Config.Transports.HTTP
	forwarded, err := listen.ParseForwardedMode(c.Forwarded)
	if err != nil {
		return nil, err
	}
	ln, trusted, err := (&proxied{c.Listen, c.TrustedProxies, c.ProxyProtocol}).bind(ctx)
	if err != nil {
		return nil, err
	}
	a.httpConns = ln
	a.http = http.New(&http.Config{
		Listener: ln, Peer: listen.Peer, TrustedProxies: trusted, Forwarded: forwarded, MaxBody: c.MaxBody,
		Gate: a.gate, PartitionKeys: a.partitionKeys(), Log: a.log,
	})
	return a.http, nil
}

func (a *App) bindMQTT(ctx context.Context) (transport, error) {
	c := &a.loaded.Config.Transports.MQTT
	ln, _, err := (&proxied{c.Listen, c.TrustedProxies, c.ProxyProtocol}).bind(ctx)
	if err != nil {
		return nil, err
	}
	naming := mqtt.UserNameOrClientID
	if a.loaded.Config.Devices.Auth == config.AuthToken {
		naming = mqtt.UserName
	}
	a.mqttConns = ln
	a.mqtt, err = mqtt.New(&mqtt.Config{
		Listener: ln, RemoteAddr: listen.Peer, Gate: a.gate, Known: a.known.Known, Presence: presence{a.events},
		Naming: naming, MaxPacket: int(c.MaxPacket), Log: a.log,
	})
	if err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return a.mqtt, nil
}

func (a *App) bindCoAP(ctx context.Context) (transport, error) {
	a.coap = coap.New(&coap.Config{Address: a.loaded.Config.Transports.CoAP.Listen, Gate: a.gate, Log: a.log})
	if err := a.coap.Listen(ctx); err != nil {
		return nil, err
	}
	return a.coap, nil
}

// fault is err with the place of the key that led to it.
func (a *App) fault(path string, err error) error {
	return config.NewFaultsError([]config.Fault{a.loaded.Fault(path, err.Error())})
}

// startControl opens the control listener, the first to start and the last to
// stop, so that health can be seen all the while. Nothing of the other rooms is
// asked before SetReady.
func (a *App) startControl(ctx context.Context) error {
	a.control = control.New(&control.Config{
		Address: a.loaded.Config.Control.Listen, Ready: a.ready, Collect: a.snapshot,
		Build: control.Build{Version: a.version, Go: runtime.Version()}, Log: a.log,
	})
	if err := a.control.Listen(ctx); err != nil {
		return a.fault("control.listen", err)
	}
	a.undo.push("control", closeBound, closeRest, a.control.Shutdown)
	a.run(func(context.Context) error { return a.control.Serve() })
	return nil
}

// startReports starts the events. They end once the transports have, with a
// last report, and before NATS does.
func (a *App) startReports(context.Context) error {
	log := &a.loaded.Config.Quota.Log
	a.events = events.New(&events.Config{
		Node: node(), Publisher: a.bus, Log: a.log, Now: a.clock.Now,
		Report: a.hosts.Report, OriginNames: transports.TransportNames,
		Verdict: func(addr netip.Addr) string { return a.lists.Verdict(addr).String() },
		TopSize: log.TopSize, Interval: log.Interval(),
	})
	a.undo.push("reports", closeBound, closeRest, func(context.Context) error {
		if a.serving { // else a start has failed, and there is nothing to tell
			a.events.Flush()
		}
		return nil
	})
	a.run(a.events.Run)
	return nil
}
