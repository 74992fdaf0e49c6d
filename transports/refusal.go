package transports

import (
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/weirgate/weir/quota"
)

// RefusalKind is why a request is not served. New kinds are appended, and have
// a row in the answer table.
type RefusalKind uint8

// The kinds of refusal.
const (
	None           RefusalKind = iota // not refused
	QuotaExceeded                     // the window is full; Wait tells when it is not
	CostTooHigh                       // costs more than the whole quota; no wait helps
	HostDenied                        // the host is on the black list
	BadCredentials                    // the token is nobody's
	DirectoryFull                     // open mode holds devices.maxOpen devices
	BadPayload                        // not ThingsBoard's JSON
	TooLarge                          // over maxBody or maxPacket
	NameTooLong                       // the NATS subject would exceed 512 bytes
	UnknownPath                       // no such endpoint or topic
	BadMethod                         // the endpoint does not know the method
	StoreAway                         // the store is away, full, or slower than 10 s
	NoService                         // nobody answers this question on NATS
	ServiceTimeout                    // somebody listens there, but did not answer in 3 s
	ShuttingDown                      // this gateway is going away
	Internal                          // a fault of ours; nothing is told of it

	numRefusalKinds = iota
)

// Refusal is why a request is not served and all that its answer says. It is
// made once, from one decision; the zero Refusal refuses nothing.
type Refusal struct {
	Kind    RefusalKind
	Profile quota.Profile // which of the answer table's columns
	Class   quota.Class   // QuotaExceeded: what the policy counts
	Policy  string        // QuotaExceeded, CostTooHigh: the policy that refuses
	Used    uint32        // of Quota, in this window
	Quota   uint32
	Cost    uint32        // what the request counts for; 0 is 1
	Limit   *quota.Policy // the policy itself; nil unless one refuses
	After   time.Duration // Wait to the millisecond, for machines; 0 as Wait
	Wait    int           // seconds until a retry makes sense; 0: not known, or never
	Detail  string        // what is wrong, safe to tell anybody; may be empty
	Err     error         // for the log alone; may be nil
}

// Refused tells whether r refuses at all.
func (r *Refusal) Refused() bool { return r.Kind != None }

// Reason is one line for the client: the policy, the numbers and the wait where
// a quota refuses, else the detail or the kind's title.
func (r *Refusal) Reason() string {
	switch {
	case r.Kind == QuotaExceeded:
		return r.account()
	case r.Detail != "":
		return r.Detail
	}
	return r.Kind.Title()
}

// account is the policy, the numbers and, where one helps, the wait.
func (r *Refusal) account() string {
	text := "quota exceeded: policy " + r.Policy +
		", used " + strconv.FormatUint(uint64(r.Used), 10) +
		" of " + strconv.FormatUint(uint64(r.Quota), 10)
	if r.Wait > 0 {
		text += ", retry after " + strconv.Itoa(r.Wait) + " s"
	}
	return text
}

var titles = [numRefusalKinds]string{
	None:           "not refused",
	QuotaExceeded:  "quota exceeded",
	CostTooHigh:    "request costs more than the whole quota",
	HostDenied:     "host denied",
	BadCredentials: "bad credentials",
	DirectoryFull:  "no more devices are accepted",
	BadPayload:     "bad payload",
	TooLarge:       "too large",
	NameTooLong:    "name too long",
	UnknownPath:    "unknown path",
	BadMethod:      "method not allowed",
	StoreAway:      "store unavailable",
	NoService:      "no service answers",
	ServiceTimeout: "service did not answer in time",
	ShuttingDown:   "shutting down",
	Internal:       "internal error",
}

// Title is the kind in a few words.
func (k RefusalKind) Title() string {
	if k < numRefusalKinds {
		return titles[k]
	}
	return titles[Internal]
}

// overQuota is the Refusal of a decision that refuses. A quota of 0, which
// nothing fits, is exceeded like any other: the request is no larger than others
// are, and only a wait cannot be told.
func overQuota(d quota.Decision) Refusal {
	r := Refusal{
		Kind: QuotaExceeded, Profile: d.Policy.Profile, Class: d.Policy.Class,
		Policy: d.Policy.Name, Used: d.Used, Quota: d.Policy.Quota, Limit: d.Policy,
	}
	if d.Never && d.Policy.Quota > 0 {
		r.Kind = CostTooHigh
		return r
	}
	if d.Policy.Quota > 0 {
		r.After = d.Wait()
		r.Wait = spread(ceilSeconds(r.After))
	}
	return r
}

// ceilSeconds is d in whole seconds, rounded up.
func ceilSeconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// spread adds up to a tenth at random, so that a fleet refused together does
// not come back together.
func spread(seconds int) int {
	if seconds < 10 {
		return seconds
	}
	return seconds + rand.IntN(seconds/10+1)
}
