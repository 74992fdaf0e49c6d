package transports_test

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/devices"
	"github.com/weirgate/weir/transports"
)

// TestAsking: a device has its share, all have theirs together, and a place
// given back is there for the next.
func TestAsking(t *testing.T) {
	const most = 16
	a := transports.NewAsking(most)
	device := func(n int) *devices.Device { return &devices.Device{Account: "a", Name: strconv.Itoa(n)} }
	for n := range most / transports.MaxAsking {
		for range transports.MaxAsking {
			require.True(t, a.Enter(device(n)))
		}
		require.False(t, a.Enter(device(n)), "more than a device's share")
	}
	late := device(most)
	require.False(t, a.Enter(late), "more than all")
	a.Leave(device(0))
	require.True(t, a.Enter(late))
	require.False(t, a.Enter(device(0)))
	a.Leave(late)
	require.True(t, a.Enter(device(0)), "the same device by another pointer")
}
