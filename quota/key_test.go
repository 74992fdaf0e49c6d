package quota_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/quota"
)

func TestHostKeyNamesAHostAndIsReadBack(t *testing.T) {
	tests := []struct {
		name   string
		addr   string
		prefix int
		text   string
	}{
		{"v4 whole", "192.0.2.7", 64, "192.0.2.7"},
		{"v4 whatever the prefix", "192.0.2.7", 1, "192.0.2.7"},
		{"v4 lowest", "0.0.0.0", 64, "0.0.0.0"},
		{"v4 highest", "255.255.255.255", 64, "255.255.255.255"},
		{"v4 loopback", "127.0.0.1", 64, "127.0.0.1"},
		{"v6 by /64", "2001:db8:1:2:3:4:5:6", 64, "2001:db8:1:2::"},
		{"v6 by /56", "2001:db8:1:2ff:3:4:5:6", 56, "2001:db8:1:200::"},
		{"v6 by /48", "2001:db8:1:2::6", 48, "2001:db8:1::"},
		{"v6 by /1", "ffff::1", 1, "8000::"},
		{"v6 prefix 0 is 64", "2001:db8:1:2::6", 0, "2001:db8:1:2::"},
		{"v6 prefix 65 is 64", "2001:db8:1:2::6", 65, "2001:db8:1:2::"},
		{"link-local whole", "fe80::1:2", 64, "fe80::1:2"},
		{"unique local whole", "fd00::1:2", 48, "fd00::1:2"},
		{"loopback whole", "::1", 64, "::1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := quota.HostKey(netip.MustParseAddr(tt.addr), tt.prefix)
			require.Equal(t, tt.text, k.String())
			require.Equal(t, netip.MustParseAddr(tt.text), k.Addr())
			require.Equal(t, k, quota.HostKey(k.Addr(), tt.prefix), "a key's address has that key")
		})
	}
}

func TestHostKeyTellsHostsApart(t *testing.T) {
	tests := []struct {
		name string
		a, b string
		same bool
	}{
		{"two of one /64", "2001:db8::1", "2001:db8::2", true},
		{"two /64s", "2001:db8::1", "2001:db8:0:1::1", false},
		{"two of one link", "fe80::1", "fe80::2", false},
		{"two unique local of one /64", "fd00::1", "fd00::2", false},
		{"neighbours", "192.0.2.1", "192.0.2.2", false},
		{"v4 and the v6 of its bits", "192.0.2.1", "::c000:201", false},
		{"loopbacks", "127.0.0.1", "::1", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.same, key(tt.a) == key(tt.b))
		})
	}
}

func TestNoHostHasNoKey(t *testing.T) {
	require.Equal(t, quota.Key{}, quota.HostKey(netip.Addr{}, 64))
	require.False(t, quota.Key{}.Addr().IsValid())
	require.Equal(t, "invalid IP", quota.Key{}.String())
}

func FuzzHostKey(f *testing.F) {
	f.Add([]byte{192, 0, 2, 1}, 64)
	f.Add(netip.MustParseAddr("2001:db8::1").AsSlice(), 48)
	f.Add(netip.MustParseAddr("fe80::1").AsSlice(), -1)
	f.Fuzz(func(t *testing.T, b []byte, prefix int) {
		addr, ok := netip.AddrFromSlice(b)
		if !ok {
			return
		}
		k := quota.HostKey(addr.Unmap(), prefix)
		if k == (quota.Key{}) {
			return // the lowest prefix of all: nobody's
		}
		require.Equal(t, k, quota.HostKey(k.Addr(), prefix))
	})
}
