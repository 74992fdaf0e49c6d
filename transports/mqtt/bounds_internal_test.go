package mqtt

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/devices"
)

// From outside it would take hundreds of devices to see.
func TestAsking_bounds(t *testing.T) {
	a := asking{by: make(map[*devices.Device]int)}
	var fleet []*devices.Device
	for range maxAsked / maxAsking {
		d := &devices.Device{}
		fleet = append(fleet, d)
		for range maxAsking {
			require.True(t, a.enter(d))
		}
		require.False(t, a.enter(d), "more than a device's share")
	}
	late := &devices.Device{}
	require.False(t, a.enter(late), "more than all")
	a.leave(fleet[0])
	require.True(t, a.enter(late))
	a.leave(late)
	for range maxAsking - 1 {
		a.leave(fleet[0])
	}
	for _, d := range fleet[1:] {
		for range maxAsking {
			a.leave(d)
		}
	}
	require.Empty(t, a.by)
	require.Zero(t, a.all)
}

func TestIDSet(t *testing.T) {
	var s idSet
	require.False(t, s.drop(1), "of none")
	for id := range 1 << 16 {
		require.False(t, s.has(uint16(id)))
		s = s.with(uint16(id))
		require.True(t, s.has(uint16(id)))
	}
	require.Len(t, s, 1024)
	for id := range 1 << 16 {
		require.True(t, s.drop(uint16(id)))
		require.False(t, s.drop(uint16(id)))
	}
	require.Empty(t, s, "what is empty takes no memory")
}
