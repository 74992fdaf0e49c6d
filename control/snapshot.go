package control

import "time"

// Snapshot is a gateway's figures at one moment. Counters are since the start.
// What is left zero is shown as 0; a nil slice or map shows no series.
type Snapshot struct {
	Requests    []RequestCount    // weir_requests_total
	Connections map[string]int    // weir_connections, open now by transport
	TurnedAway  []TurnedAwayCount // weir_connections_refused_total
	Malformed   map[string]uint64 // weir_malformed_total, by transport
	Panics      map[string]uint64 // weir_panics_total, by transport
	Dropped     map[string]uint64 // weir_dropped_total, by transport

	QuotaHosts      int           // weir_quota_hosts, in the table now
	QuotaKeys       int           // weir_quota_keys, of policies, in their table now
	QuotaSpells     int           // weir_quota_spells, hosts and keys exceeding now
	QuotaEvictions  uint64        // weir_quota_evictions_total, hosts and keys given up for room
	QuotaOverflowed uint64        // weir_quota_overflowed_total, requests of hosts and keys that found no room
	Policies        []PolicyCount // weir_policy_requests_total

	StoreSeconds    Histogram // weir_store_seconds, from Submit to the store's answer
	UplinkQueue     int       // weir_uplink_queue, messages waiting for the next batch
	UplinkCommitted uint64    // weir_uplink_committed_total, messages stored
	UplinkRefused   uint64    // weir_uplink_refused_total, messages not taken or not stored
	UplinkDead      uint64    // weir_uplink_dead_total, messages put into WEIR_DEAD

	EventsDropped uint64 // weir_events_dropped_total

	ReloadsOK     uint64    // weir_config_reloads_total{result="ok"}
	ReloadsFailed uint64    // weir_config_reloads_total{result="failed"}
	LastReload    time.Time // weir_config_last_success_timestamp_seconds; zero: 0

	HostlistEntries map[string]int // weir_hostlist_entries, by list (allow, deny)
	HostlistFailed  int            // weir_hostlist_failed_names, not resolving now
	Devices         int            // weir_devices, known now
}

// RequestCount is how many requests of a transport (http, mqtt, coap) ended
// with a verdict (admitted, refused, denied; limited: admitted, and then refused
// by a policy other than the host quota).
type RequestCount struct {
	Transport, Verdict string
	Count              uint64
}

// PolicyCount is how many requests a policy admitted, refused, or would have
// refused (shadowed).
type PolicyCount struct {
	Policy, Verdict string
	Count           uint64
}

// TurnedAwayCount is how many connections of a transport were closed before
// their first request, for a reason (total, host, header).
type TurnedAwayCount struct {
	Transport, Reason string
	Count             uint64
}

// Histogram is a distribution of seconds. Counts[i] is how many were at most
// Bounds[i] and over Bounds[i-1]; Counts may have one more, for those over the
// last bound. Bounds ascend.
type Histogram struct {
	Bounds []float64
	Counts []uint64
	Sum    float64
}

// cumulative is h as Prometheus counts it: how many in all, and how many at
// most each bound.
func (h Histogram) cumulative() (count uint64, buckets map[float64]uint64) {
	buckets = make(map[float64]uint64, len(h.Bounds))
	for i, n := range h.Counts {
		count += n
		if i < len(h.Bounds) {
			buckets[h.Bounds[i]] = count
		}
	}
	return count, buckets
}
