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

var classNames = [...]string{Total: "total", Connects: "connects", Messages: "messages", Reads: "reads"}

func (c Class) String() string { return nameOf(classNames[:], c) }

// ErrClass says that a text names no Class.
var ErrClass = errors.New("expected total, connects, messages or reads")

// ParseClass reads a Class's name; ErrClass for any other text.
func ParseClass(s string) (Class, error) { return parseName[Class](classNames[:], s, ErrClass) }

var profileNames = [...]string{Standard: "standard", ThingsBoard: "thingsboard", Bandwidth: "bandwidth"}

func (p Profile) String() string { return nameOf(profileNames[:], p) }

// ErrProfile says that a text names no Profile.
var ErrProfile = errors.New("expected thingsboard, standard or bandwidth")

// ParseProfile reads a Profile's name; ErrProfile for any other text.
func ParseProfile(s string) (Profile, error) {
	return parseName[Profile](profileNames[:], s, ErrProfile)
}

// Policy is one limit in force: a Quota of requests in a Window, for each key of
// a Level. A PolicyConfig with several buckets makes as many of them.
// A Policy is immutable once in use; a reload makes a new one.
type Policy struct {
	Name    string        // [A-Za-z0-9._-]+, as the RateLimit fields show it
	Level   Level         // whose requests are counted together
	Class   Class         // what is counted
	Kind    Kind          // how a window begins and ends
	Quota   uint32        // requests a window holds; 0 admits none
	Window  time.Duration // how long a window lasts; over 0
	Profile Profile       // how a refusal is answered
	// Bucket is what was configured, of which a sliding window's Quota and
	// Window are made; the zero Bucket for the host policy.
	Bucket Bucket
}

// Fault is one thing wrong with a value of this package. Path is relative to
// the value ("ttlMs"), so that the caller can say where it stood.
type Fault struct {
	Path    string
	Problem string // what is wrong and what was expected
}
