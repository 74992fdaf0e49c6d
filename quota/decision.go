package quota

import "time"

// Decision is what a check found, complete enough to answer the client and to
// fill the RateLimit fields without another look-up. The zero Decision admits
// under no policy.
type Decision struct {
	// Policy is the policy that decides: the one that refuses, else the one
	// that applies. nil: none applies, and nothing below means anything.
	Policy *Policy
	// Refused tells that the request does not fit and was not charged.
	Refused bool
	// Used is the number of admitted requests in the window, this one included
	// if it was admitted. At most Policy.Quota.
	Used uint32
	// Reset is how long until nothing is used any more: the window's end; at
	// most the window, and 0 only for a token bucket that is full.
	Reset time.Duration
	// Retry is how long until a refused request may fit, where that is sooner
	// than Reset; 0: it is not.
	Retry time.Duration
	// Never tells that the cost exceeds the whole quota, so that waiting does
	// not help.
	Never bool
}

// Remaining is how many more requests of cost 1 the window holds.
func (d Decision) Remaining() uint32 {
	if d.Policy == nil || d.Used >= d.Policy.Quota {
		return 0
	}
	return d.Policy.Quota - d.Used
}

// Wait is how long until the refused request may fit; 0 if it was admitted or
// never will.
func (d Decision) Wait() time.Duration {
	switch {
	case !d.Refused || d.Never:
		return 0
	case d.Retry > 0:
		return d.Retry
	}
	return d.Reset
}
