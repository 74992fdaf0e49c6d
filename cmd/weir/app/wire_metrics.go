package app

import (
	"context"
	"time"

	"github.com/weirgate/weir/bus"
	"github.com/weirgate/weir/control"
	"github.com/weirgate/weir/transports"
	"github.com/weirgate/weir/transports/listen"
)

// ready is why the gateway should get no traffic now.
func (a *App) ready(context.Context) []error {
	if err := a.bus.Ready(); err != nil {
		return []error{err}
	}
	return nil
}

// snapshot is every room's figures for one scrape.
func (a *App) snapshot() control.Snapshot {
	s := control.Snapshot{
		Connections: map[string]int{}, Malformed: map[string]uint64{}, Panics: map[string]uint64{}, Dropped: map[string]uint64{},
		ReloadsOK: a.reloads.ok.Load(), ReloadsFailed: a.reloads.failed.Load(),
	}
	if last := a.reloads.last.Load(); last > 0 {
		s.LastReload = time.Unix(last, 0)
	}
	for _, c := range a.gate.Stats() {
		s.Requests = append(s.Requests, control.RequestCount{Transport: c.Transport, Verdict: c.Verdict, Count: c.Count})
	}
	a.addRooms(&s)
	addStore(&s, a.bus.Stats())
	a.addTransports(&s)
	return s
}

func (a *App) addRooms(s *control.Snapshot) {
	hosts := a.hosts.Stats()
	s.QuotaHosts, s.QuotaSpells, s.QuotaEvictions = hosts.Hosts, hosts.Spells, hosts.Evicted
	keys := a.policies.Stats()
	s.QuotaKeys, s.QuotaEvictions = keys.Keys, s.QuotaEvictions+keys.Evicted
	s.QuotaSpells += keys.Spells
	for _, r := range a.policies.Report() {
		for verdict, n := range map[string]uint64{"admitted": r.Admitted, "refused": r.Refused, "shadowed": r.Shadowed} {
			s.Policies = append(s.Policies, control.PolicyCount{Policy: r.Policy.Name, Verdict: verdict, Count: n})
		}
	}
	s.QuotaOverflowed = hosts.Overflowed + keys.Overflowed
	lists := a.lists.Stats()
	s.HostlistEntries = map[string]int{"allow": lists.Allow, "deny": lists.Deny}
	s.HostlistFailed = lists.Failing
	known := a.known.Stats()
	s.Devices = known.Listed + known.Open
	s.EventsDropped = a.events.Stats().Dropped
}

func addStore(s *control.Snapshot, b bus.Stats) {
	s.StoreSeconds = control.Histogram{
		Bounds: bus.StoreBuckets[:], Counts: b.StoreSeconds[:], Sum: b.StoreSum.Seconds(),
	}
	s.UplinkQueue, s.UplinkCommitted = b.Queued, b.Stored
	s.UplinkRefused, s.UplinkDead = b.Refused+b.Away, b.Buried
	s.EventsDropped += b.Dropped
}

func (a *App) addTransports(s *control.Snapshot) {
	if a.http != nil {
		h := a.http.Stats()
		name := transports.HTTP.String()
		s.Connections[name], s.Malformed[name], s.Panics[name] = h.Connections, h.Malformed, h.Panics
		s.TurnedAway = append(s.TurnedAway, turnedAway(transports.HTTP, a.httpConns)...)
	}
	if a.mqtt != nil {
		m := a.mqtt.Stats()
		name := transports.MQTT.String()
		s.Connections[name], s.Malformed[name], s.Panics[name] = a.mqttConns.Stats().Open, m.Malformed, m.Panics
		s.Dropped[name] = m.Dropped
		s.TurnedAway = append(s.TurnedAway, turnedAway(transports.MQTT, a.mqttConns)...)
	}
	if a.coap != nil {
		c := a.coap.Stats()
		name := transports.CoAP.String()
		s.Malformed[name], s.Panics[name], s.Dropped[name] = c.Ignored, c.Panics, c.Dropped+c.Abandoned
	}
}

// turnedAway is why connections of t were closed before their first request.
func turnedAway(t transports.Transport, ln *listen.Listener) []control.TurnedAwayCount {
	st := ln.Stats()
	return []control.TurnedAwayCount{
		{Transport: t.String(), Reason: "total", Count: st.OverTotal},
		{Transport: t.String(), Reason: "host", Count: st.OverHost},
		{Transport: t.String(), Reason: "header", Count: st.BadHeaders},
	}
}
