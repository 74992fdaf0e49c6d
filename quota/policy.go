package quota

import (
	"errors"
	"time"
)

// HostPolicyName is the name of the policy that config's quota.host sets.
const HostPolicyName = "host"

// Class is what a policy counts.
type Class uint8

// The classes. Every request is of class Total besides its own.
const (
	Total    Class = iota // everything
	Connects              // MQTT CONNECT, DTLS handshake
	Messages              // what a device sends up
	Reads                 // what a device asks for
)

// Profile is the manner in which a refusal is answered. Which code that is in
// which protocol only package transports knows.
type Profile uint8

// The profiles.
const (
	Standard    Profile = iota // the modern answers (HTTP 429 …)
	ThingsBoard                // ThingsBoard's (HTTP 509, MQTT disconnect, CoAP 4.00)
	Bandwidth                  // Bandwidth's (HTTP 403 …)
)

var profileNames = [...]string{Standard: "standard", ThingsBoard: "thingsboard", Bandwidth: "bandwidth"}

func (p Profile) String() string {
	if int(p) < len(profileNames) {
		return profileNames[p]
	}
	return "unknown"
}

// ErrProfile says that a text names no Profile.
var ErrProfile = errors.New("expected thingsboard, standard or bandwidth")

// ParseProfile reads a Profile's name; ErrProfile for any other text.
func ParseProfile(s string) (Profile, error) {
	for i, n := range profileNames {
		if n == s {
			return Profile(i), nil
		}
	}
	return 0, ErrProfile
}

// Policy is one limit: a Quota of requests in a Window, for each Key.
// A Policy is immutable once in use; a reload makes a new one.
type Policy struct {
	Name    string        // [A-Za-z0-9._-]+, as the RateLimit fields show it
	Class   Class         // what is counted
	Quota   uint32        // requests a window holds; 0 admits none
	Window  time.Duration // how long a window lasts from its first request; over 0
	Profile Profile       // how a refusal is answered
}

// Fault is one thing wrong with a value of this package. Path is relative to
// the value ("ttlMs"), so that the caller can say where it stood.
type Fault struct {
	Path    string
	Problem string // what is wrong and what was expected
}
