package hostlist

import "net/netip"

// nat64 is the well-known prefix of RFC 6052 2.1, whose last four octets are an
// IPv4 address.
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// Canonical is the one form in which a host is listed and counted: IPv4 in IPv6
// (RFC 4291 2.5.5.2) and NAT64 (RFC 6052) become the IPv4 address they stand
// for, and a zone is dropped. An invalid address stays invalid.
func Canonical(addr netip.Addr) netip.Addr {
	addr = addr.Unmap()
	if addr.Is4() {
		return addr
	}
	addr = addr.WithZone("")
	if nat64.Contains(addr) {
		b := addr.As16()
		return netip.AddrFrom4([4]byte(b[12:]))
	}
	return addr
}
