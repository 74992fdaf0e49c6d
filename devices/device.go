// Package devices says who a device is: an access token, in the open mode any
// name, is turned into an Identity.
//
// It never knows a protocol, a quota or where the list of devices is kept.
package devices

import "errors"

// DefaultAccount is the account of every device in open mode.
const DefaultAccount = "default"

// Device is a known device. It is immutable and shared: one pointer serves all
// its requests and connections. Both names are as the operator or the device
// wrote them, 1 to MaxName bytes, unescaped.
type Device struct {
	Account string
	Name    string
}

// MaxName is the longest account or device name in bytes: no longer one can fit
// a NATS subject, which the contract caps at 512 bytes.
const MaxName = 512

// Errors of an identification.
var (
	// ErrUnknown says that the credential is nobody's.
	ErrUnknown = errors.New("devices: unknown credential")
	// ErrName says that a name is empty, longer than MaxName bytes, no UTF-8,
	// or holds a control character: events and logs would show two such
	// devices as one.
	ErrName = errors.New("devices: a name has 1 to 512 bytes of UTF-8 without control characters")
	// ErrFull says that the open mode holds as many devices as it may.
	ErrFull = errors.New("devices: open mode holds devices.maxOpen devices already; list devices or raise it")
)
