package quota

import "time"

// MaxMaxHosts is the largest HostsConfig.MaxHosts: 3.1 GB of slots.
const MaxMaxHosts = 1 << 26

// maxInterval is the longest window: a slot tells starts apart for 49 days.
const maxInterval = 31 * 24 * time.Hour

// HostsConfig is the host quota's configuration (config's quota.host).
type HostsConfig struct {
	// Enabled turns the quota on. While it is off nothing is refused and no
	// window counts, but the report still tells who asks how often.
	Enabled bool
	// Limit is how many requests a host is admitted in a window; 0 admits none.
	Limit uint32
	// Interval is the window's length from its first request: whole
	// milliseconds, 1 to 2678400000 (31 days).
	Interval time.Duration
	// TTL is how long a host may be silent before it is forgotten; at least
	// Interval, or a live window would be.
	TTL time.Duration
	// CleanPeriod is how often silent hosts are looked for; at least 1 ms.
	CleanPeriod time.Duration
	// MaxHosts is how many hosts are kept, 1 to MaxMaxHosts, about 47 bytes
	// each and as much again for one known by forged datagrams too. Above 1024 it is
	// met to within a tenth: see Hosts. It is taken by NewHosts; Reload leaves
	// it as it is.
	MaxHosts int
	// Profile is how refusals are answered.
	Profile Profile
	// Clock is the time; nil is SystemClock. Only NewHosts takes it.
	Clock Clock
	// OnTransition is told when a host goes over its quota and when it has
	// recovered; nil: nobody is. It is called from within checks and Run, by
	// several goroutines at once, and must not block. Only NewHosts takes it.
	OnTransition func(Transition)
}

// Validate is all that is wrong with c; empty if nothing is. It holds whether
// or not the quota is enabled.
func (c *HostsConfig) Validate() []Fault {
	var faults []Fault
	check := func(path, problem string, ok bool) {
		if !ok {
			faults = append(faults, Fault{path, problem})
		}
	}
	check("intervalMs", "expected a whole number of milliseconds, 1 to 2678400000 (31 days)",
		c.Interval >= time.Millisecond && c.Interval%time.Millisecond == 0 && c.Interval <= maxInterval)
	check("ttlMs", "expected at least intervalMs: a shorter one would forget hosts within their window",
		c.TTL >= c.Interval && c.TTL >= time.Millisecond)
	check("cleanPeriodMs", "expected at least 1", c.CleanPeriod >= time.Millisecond)
	check("maxHosts", "expected 1 to 67108864", c.MaxHosts >= 1 && c.MaxHosts <= MaxMaxHosts)
	check("profile", ErrProfile.Error(), int(c.Profile) < len(profileNames))
	return faults
}

// settings are what a reload may change, in the form that checks use.
type settings struct {
	policy *Policy // nil while the quota is off
	length int64   // of policy's window, ms; 0 while the quota is off
	room   uint32  // a window that admitted 1 to room requests holds one more
	scale  uint64  // see hint
	ttl    int64   // ms
	clean  time.Duration
}

func (c *HostsConfig) settings() *settings {
	s := &settings{ttl: c.TTL.Milliseconds(), clean: c.CleanPeriod}
	if c.Enabled {
		s.policy = &Policy{
			Name: HostPolicyName, Class: Total, Quota: c.Limit, Window: c.Interval, Profile: c.Profile,
		}
		s.length = s.policy.millis()
		s.scale = hintParts << 32 / uint64(s.length)
		s.room = max(min(c.Limit, maxUsed), 1) - 1
	}
	return s
}

// sweepLength is how old a window is at least before a sweep closes it: it may
// be live again when a reload makes windows longer, but not when its age can no
// longer be told.
func (s *settings) sweepLength() int64 { return max(s.length, maxWindow/2) }
