package quota_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/quota"
)

// running is a Hosts whose Run runs on the bubble's clock until stop.
func running(t *testing.T, cfg *quota.HostsConfig) (h *quota.Hosts, stop func()) {
	t.Helper()
	cfg.Clock = nil // the system's, which is the bubble's
	h = newHosts(t, cfg)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- h.Run(ctx) }()
	synctest.Wait()
	return h, func() {
		cancel()
		require.NoError(t, <-done)
	}
}

// pass lets the bubble's time pass.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestRunForgetsTheSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, stop := running(t, config(nil))
		defer stop()
		for i := range 1000 {
			h.Check(stranger(i), overHTTP)
		}
		pass(4*minute + 30*time.Second)
		h.Check(stranger(7), overHTTP)
		pass(29 * time.Second)
		require.Equal(t, 1000, h.Stats().Hosts)
		pass(time.Second)
		require.Equal(t, 1, h.Stats().Hosts, "only the one that asked of late")
		pass(5 * minute)
		require.Zero(t, h.Stats().Hosts)
		require.EqualValues(t, 1000, h.Stats().Swept)
	})
}

func TestRunTellsRecoveries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := &diary{}
		cfg := config(nil)
		cfg.CleanPeriod, cfg.OnTransition = time.Hour, told.tell
		h, stop := running(t, cfg)
		defer stop()
		admitted(h, stranger(1), 4)
		pass(59 * time.Second)
		require.Len(t, told.all(), 1)
		pass(2 * time.Second)
		require.Len(t, told.all(), 2)
	})
}

func TestRunFollowsAReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := &diary{}
		cfg := config(nil)
		cfg.OnTransition = told.tell
		h, stop := running(t, cfg)
		defer stop()
		admitted(h, stranger(1), 4)
		cfg.Interval, cfg.TTL, cfg.CleanPeriod = 100*time.Millisecond, time.Second, 2*time.Second
		require.NoError(t, h.Reload(cfg))
		require.NoError(t, h.Reload(cfg))
		pass(200 * time.Millisecond)
		require.Len(t, told.all(), 2)
		pass(1900 * time.Millisecond)
		require.Zero(t, h.Stats().Hosts)
	})
}

func TestReloadsDoNotPutOffTheSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(nil)
		h, stop := running(t, cfg)
		defer stop()
		h.Check(stranger(1), overHTTP)
		for range 6 {
			require.NoError(t, h.Reload(cfg))
			pass(minute)
		}
		require.Zero(t, h.Stats().Hosts)
	})
}
