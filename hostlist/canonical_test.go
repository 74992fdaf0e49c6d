package hostlist_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/weirgate/weir/hostlist"
)

func TestCanonical(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"IPv4 stays", "192.0.2.1", "192.0.2.1"},
		{"IPv6 stays", "2001:db8::1", "2001:db8::1"},
		{"v4 in v6", "::ffff:192.0.2.1", "192.0.2.1"},
		{"v4 in v6 with a zone", "::ffff:192.0.2.1%eth0", "192.0.2.1"},
		{"NAT64", "64:ff9b::c000:201", "192.0.2.1"},
		{"NAT64 with a zone", "64:ff9b::c000:201%eth0", "192.0.2.1"},
		{"beside NAT64", "64:ff9b:0:0:0:1::1", "64:ff9b::1:0:1"},
		{"local NAT64 is the operator's own", "64:ff9b:1::c000:201", "64:ff9b:1::c000:201"},
		{"v4-compatible is IPv6", "::192.0.2.1", "::c000:201"},
		{"link-local loses its zone", "fe80::1%eth0", "fe80::1"},
		{"loopback", "::1", "::1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, netip.MustParseAddr(tt.want), hostlist.Canonical(netip.MustParseAddr(tt.in)))
		})
	}
	require.False(t, hostlist.Canonical(netip.Addr{}).IsValid())
}

func TestCanonicalTwiceIsOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		addr := anyAddr().Draw(t, "addr")
		once := hostlist.Canonical(addr)
		require.Equal(t, once, hostlist.Canonical(once))
		require.False(t, once.Is4In6())
		require.Empty(t, once.Zone())
	})
}

func TestCanonicalAllocatesNothing(t *testing.T) {
	addr := netip.MustParseAddr("64:ff9b::c000:201%eth0")
	require.Zero(t, testing.AllocsPerRun(100, func() { hostlist.Canonical(addr) }))
}

// anyAddr draws from few addresses, so that they meet.
func anyAddr() *rapid.Generator[netip.Addr] {
	return rapid.Custom(func(t *rapid.T) netip.Addr {
		low := byte(rapid.IntRange(0, 15).Draw(t, "low"))
		v4 := [4]byte{10, byte(rapid.IntRange(0, 1).Draw(t, "high")), 0, low}
		switch rapid.IntRange(0, 4).Draw(t, "form") {
		case 0:
			return netip.AddrFrom4(v4)
		case 4:
			return rapid.SampledFrom([]netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}).Draw(t, "loopback")
		case 1:
			return netip.AddrFrom16(netip.AddrFrom4(v4).As16())
		case 2:
			return netip.AddrFrom16([16]byte{1: 0x64, 2: 0xff, 3: 0x9b, 12: v4[0], 13: v4[1], 15: low})
		}
		return netip.AddrFrom16([16]byte{0: 0x20, 1: 1, 2: 0xd, 3: 0xb8, 14: v4[1], 15: low})
	})
}
