package control

import "github.com/prometheus/client_golang/prometheus"

const (
	counter = prometheus.CounterValue
	gauge   = prometheus.GaugeValue
)

// metric is a figure; its series are told by read.
func metric(kind prometheus.ValueType, name, help string, read func(*Snapshot, addFunc), labels ...string) figure {
	return figure{prometheus.NewDesc("weir_"+name, help, labels, nil), kind, read}
}

// one is a figure with one series.
func one(kind prometheus.ValueType, name, help string, value func(*Snapshot) float64) figure {
	return metric(kind, name, help, func(s *Snapshot, add addFunc) { add(value(s)) })
}

// by is a figure with a series for each key of a map.
func by[N int | uint64](kind prometheus.ValueType, name, help, label string, values func(*Snapshot) map[string]N) figure {
	return metric(kind, name, help, func(s *Snapshot, add addFunc) {
		for k, v := range values(s) {
			add(float64(v), k)
		}
	}, label)
}

// traffic is what the transports and the quota tell.
func traffic() []figure {
	return []figure{
		metric(counter, "requests_total", "Requests by how their admission ended.", func(s *Snapshot, add addFunc) {
			for _, r := range s.Requests {
				add(float64(r.Count), r.Transport, r.Verdict)
			}
		}, "transport", "verdict"),
		metric(counter, "connections_refused_total", "Connections closed before their first request.", func(s *Snapshot, add addFunc) {
			for _, r := range s.TurnedAway {
				add(float64(r.Count), r.Transport, r.Reason)
			}
		}, "transport", "reason"),
		by(gauge, "connections", "Connections open now.", "transport",
			func(s *Snapshot) map[string]int { return s.Connections }),
		by(counter, "malformed_total", "Packets and requests that could not be read.", "transport",
			func(s *Snapshot) map[string]uint64 { return s.Malformed }),
		by(counter, "panics_total", "Faults of weir that cost one client its request or connection.", "transport",
			func(s *Snapshot) map[string]uint64 { return s.Panics }),
		by(counter, "dropped_total", "QoS 0 messages, questions and answers given up without a word, none of them acknowledged.", "transport",
			func(s *Snapshot) map[string]uint64 { return s.Dropped }),
		one(gauge, "quota_hosts", "Hosts in the quota table.", func(s *Snapshot) float64 { return float64(s.QuotaHosts) }),
		one(gauge, "quota_keys", "Keys of policies in their table.", func(s *Snapshot) float64 { return float64(s.QuotaKeys) }),
		metric(counter, "policy_requests_total", "Requests by what a policy did.", func(s *Snapshot, add addFunc) {
			for _, p := range s.Policies {
				add(float64(p.Count), p.Policy, p.Verdict)
			}
		}, "policy", "verdict"),
		one(gauge, "quota_spells", "Hosts and keys over their quota now.", func(s *Snapshot) float64 { return float64(s.QuotaSpells) }),
		one(counter, "quota_evictions_total", "Hosts and keys given up because a table was full.",
			func(s *Snapshot) float64 { return float64(s.QuotaEvictions) }),
		one(counter, "quota_overflowed_total", "Requests of hosts that shared a window because the table was full.",
			func(s *Snapshot) float64 { return float64(s.QuotaOverflowed) }),
	}
}

// stores is what the store, the configuration and the lists tell.
func stores() []figure {
	return []figure{
		one(gauge, "uplink_queue", "Messages waiting for the next batch.", func(s *Snapshot) float64 { return float64(s.UplinkQueue) }),
		one(counter, "uplink_committed_total", "Messages stored.", func(s *Snapshot) float64 { return float64(s.UplinkCommitted) }),
		one(counter, "uplink_refused_total", "Messages the store did not take.", func(s *Snapshot) float64 { return float64(s.UplinkRefused) }),
		one(counter, "uplink_dead_total", "Messages put aside as dead.", func(s *Snapshot) float64 { return float64(s.UplinkDead) }),
		one(counter, "events_dropped_total", "Events lost because their queue was full.",
			func(s *Snapshot) float64 { return float64(s.EventsDropped) }),
		metric(counter, "config_reloads_total", "Reloads of the configuration.", func(s *Snapshot, add addFunc) {
			add(float64(s.ReloadsOK), "ok")
			add(float64(s.ReloadsFailed), "failed")
		}, "result"),
		one(gauge, "config_last_success_timestamp_seconds", "When the configuration in force was loaded.", lastReload),
		by(gauge, "hostlist_entries", "Entries of a list.", "list", func(s *Snapshot) map[string]int { return s.HostlistEntries }),
		one(gauge, "hostlist_failed_names", "Names on the lists that do not resolve now.",
			func(s *Snapshot) float64 { return float64(s.HostlistFailed) }),
		one(gauge, "devices", "Devices known.", func(s *Snapshot) float64 { return float64(s.Devices) }),
	}
}

func lastReload(s *Snapshot) float64 {
	if s.LastReload.IsZero() {
		return 0
	}
	return float64(s.LastReload.UnixMilli()) / 1000
}
