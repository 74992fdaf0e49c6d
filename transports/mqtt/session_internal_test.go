package mqtt

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// From outside, a session that was swept looks like one that expired.
func TestSessions_sweep(t *testing.T) {
	left := func(all *sessions) []string { return slices.Sorted(maps.Keys(all.all)) }
	all := sessions{
		maxLive: 10, maxOffline: 10, forget: func(string) {},
		all: map[string]*session{}, offline: map[string]*session{}, byDevice: map[string][]string{},
	}
	now := time.Unix(1_700_000_000, 0)
	for name, keep := range map[string]time.Duration{"short": time.Minute, "long": 48 * time.Hour} {
		c := &conn{}
		require.NoError(t, all.enter(name, c, false, now))
		all.leave(c, keep, now)
	}
	require.NoError(t, all.enter("live", &conn{}, false, now))
	all.sweep(now.Add(59 * time.Second))
	require.Equal(t, []string{"live", "long", "short"}, left(&all))
	all.sweep(now.Add(time.Minute))
	require.Equal(t, []string{"live", "long"}, left(&all))
	all.sweep(now.Add(maxSessionExpiry)) // however long the client wished
	require.Equal(t, []string{"live"}, left(&all))
	require.Empty(t, all.byDevice)
	live, offline := all.count()
	require.Equal(t, 1, live)
	require.Zero(t, offline)
}
