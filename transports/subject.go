package transports

import "github.com/weirgate/weir/devices"

// maxSubject is the longest NATS subject, in bytes (contract section 5).
const maxSubject = 512

// Addressable tells whether every subject under weir.up of a device fits: none
// is longer than that of its attributes. A device for which it is false can send
// nothing, so a transport with sessions had better not begin one.
func Addressable(d *devices.Device) bool {
	const longest = len("weir.up.") + len(".") + len(".attributes")
	return longest+tokenLen(d.Account)+tokenLen(d.Name) <= maxSubject
}

// tokenLen is how long a name is as one token of a subject, in bytes: those
// outside [A-Za-z0-9_-] are escaped as %XX, and nothing is %.
func tokenLen(name string) int {
	if name == "" {
		return 1
	}
	n := len(name)
	for i := range len(name) {
		switch c := name[i]; {
		case c|0x20-'a' < 26 && c >= 'A', c-'0' < 10, c == '_', c == '-':
		default:
			n += 2
		}
	}
	return n
}
