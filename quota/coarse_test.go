package quota_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/quota"
)

func TestACoarseClockIsTheClockToAMillisecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := quota.NewCoarseClock()
		require.Equal(t, time.Now().UnixMilli(), c.Now().UnixMilli(), "nobody runs it yet")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- c.Run(ctx) }()
		for range 300 {
			pass(700 * time.Microsecond)
			require.LessOrEqual(t, time.Since(c.Now()), 2*time.Millisecond)
			require.False(t, c.Now().After(time.Now()))
		}
		pass(time.Hour) // nobody asks: it stops ticking
		require.LessOrEqual(t, time.Since(c.Now()), time.Millisecond, "and is not an hour late for it")
		pass(5 * time.Millisecond)
		require.LessOrEqual(t, time.Since(c.Now()), 2*time.Millisecond)
		cancel()
		require.NoError(t, <-done)
		pass(time.Minute)
		require.Equal(t, time.Now().UnixMilli(), c.Now().UnixMilli(), "stopped, it is the system's")
	})
}

func TestHostsGoByACoarseClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := quota.NewCoarseClock()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- c.Run(ctx) }()
		h := newHosts(t, config(c))
		k := key("192.0.2.1")
		require.Equal(t, 3, admitted(h, k, 4))
		pass(59 * time.Second)
		require.True(t, h.Check(k, overHTTP).Refused)
		pass(time.Second)
		require.False(t, h.Check(k, overHTTP).Refused)
		cancel()
		require.NoError(t, <-done)
	})
}
