// Package hostlist says of an address whether the operator allowed it, denied
// it, or said nothing. Addresses, CIDR prefixes, ranges and host names stand on
// two lists; the most specific entry decides.
//
// It never knows a protocol, a quota or a device, and a look-up never asks DNS
// and takes no lock.
package hostlist
