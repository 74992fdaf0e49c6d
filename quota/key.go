package quota

import (
	"encoding/binary"
	"net/netip"
)

// MinIPv6Prefix and MaxIPv6Prefix bound the prefix length by which IPv6 hosts
// are counted: a site is given a /64 or shorter, so that anything longer would
// hand one machine 2^64 budgets.
const (
	MinIPv6Prefix = 1
	MaxIPv6Prefix = 64
)

// Key names one counted thing exactly: no two hosts share a Key. It is opaque,
// comparable and free of pointers. The zero Key names nothing.
type Key struct{ hi, lo uint64 }

// v4Mark heads the low word of an IPv4 host, so that it lies where
// ::ffff:a.b.c.d does and can never meet an IPv6 host's Key.
const v4Mark = 0xffff << 32

// HostKey is the Key of a host: an IPv4 address whole, a global IPv6 address by
// its first ipv6Prefix bits (MinIPv6Prefix to MaxIPv6Prefix; out of range is
// taken as MaxIPv6Prefix), link-local (RFC 4291 2.5.6) and unique local
// (RFC 4193) addresses and the loopback whole, since there one prefix holds a
// whole site. addr must be canonical: see hostlist.Canonical.
func HostKey(addr netip.Addr, ipv6Prefix int) Key {
	if addr.Is4() {
		b := addr.As4()
		return Key{lo: v4Mark | uint64(binary.BigEndian.Uint32(b[:]))}
	}
	if !addr.IsValid() {
		return Key{}
	}
	b := addr.As16()
	k := Key{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
	if addr.IsLinkLocalUnicast() || addr.IsPrivate() || addr.IsLoopback() {
		return k
	}
	if ipv6Prefix < MinIPv6Prefix || ipv6Prefix > MaxIPv6Prefix {
		ipv6Prefix = MaxIPv6Prefix
	}
	return Key{hi: k.hi &^ (1<<(64-ipv6Prefix) - 1)}
}

// Addr is the host that HostKey made k of: the address itself, or the lowest
// address of its prefix. The zero Addr for a Key that is no host's.
func (k Key) Addr() netip.Addr {
	if k == (Key{}) {
		return netip.Addr{}
	}
	if k.hi == 0 && k.lo>>32 == v4Mark>>32 {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], uint32(k.lo))
		return netip.AddrFrom4(b)
	}
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], k.hi)
	binary.BigEndian.PutUint64(b[8:], k.lo)
	return netip.AddrFrom16(b)
}

// String is the host's text, for reports and logs: an address, or a prefix's
// lowest address (2001:db8::).
func (k Key) String() string { return k.Addr().String() }

// Origin is a set of up to eight sources of requests, a bit each, as the report
// counters keep them. What a bit stands for only the caller knows.
type Origin uint8
