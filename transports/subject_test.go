package transports_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/devices"
	"github.com/weirgate/weir/transports"
)

// A subject has 512 bytes, of which weir.up., the dot between the names and
// .attributes take 20.
func TestAddressable(t *testing.T) {
	const room = 512 - 20
	name := func(part string, n int) string { return strings.Repeat(part, n) }
	tests := []struct {
		name            string
		account, device string
		want            bool
	}{
		{"short", "acme", "pump", true},
		{"just fits", "acme", name("d", room-4), true},
		{"one byte over", "acme", name("d", room-3), false},
		{"long account", name("a", room-1), "d", true},
		{"account one byte over", name("a", room), "d", false},
		{"no account", "", name("d", room-1), true},
		{"no account, one byte over", "", name("d", room), false},
		{"dots", "acme", name(".", (room-4)/3), true},
		{"one dot over", "acme", name(".", (room-4)/3+1), false},
		{"plain bytes", "acme", name("azAZ09_-", (room-4)/8), true},
		{"escaped bytes", "acme", name("@[`{/:", (room-4)/18+1), false},
		{"escaped bytes that fit", "acme", name("@[`{/:", (room-4)/18), true},
		{"umlauts are two bytes", "acme", name("ü", (room-4)/6), true},
		{"an umlaut over", "acme", name("ü", (room-4)/6+1), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.want, transports.Addressable(&devices.Device{Account: tt.account, Name: tt.device}))
		})
	}
}
