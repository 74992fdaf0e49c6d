package quota_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/weirgate/weir/quota"
)

func TestABatchIsItsChecksInTurn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newClock()
		cfg := config(c)
		batched, err := quota.NewHosts(cfg)
		require.NoError(t, err)
		single, err := quota.NewHosts(cfg)
		require.NoError(t, err)
		for range rapid.IntRange(1, 5).Draw(t, "batches") {
			requests := make([]quota.Request, rapid.IntRange(0, 100).Draw(t, "n"))
			for i := range requests {
				requests[i] = quota.Request{
					Key:        stranger(rapid.IntRange(0, 40).Draw(t, "host")),
					Origin:     quota.Origin(1 << rapid.IntRange(0, 7).Draw(t, "origin")),
					Unverified: rapid.Bool().Draw(t, "unverified"),
				}
			}
			got := make([]quota.Decision, len(requests)+3)
			batched.CheckBatch(requests, got)
			for i, q := range requests {
				check := single.Check
				if q.Unverified {
					check = single.CheckUnverified
				}
				want := check(q.Key, q.Origin)
				want.Policy, got[i].Policy = nil, nil
				require.Equal(t, want, got[i])
			}
			require.Zero(t, got[len(requests)])
			a, b := batched.Top(50), single.Top(50)
			for i := range a.Top { // may be early by a part of the window
				a.Top[i].LastSeen, b.Top[i].LastSeen = time.Time{}, time.Time{}
			}
			require.Equal(t, a.Top, b.Top)
			require.Equal(t, a.Requests, b.Requests)
			c.move(time.Duration(rapid.IntRange(0, 40).Draw(t, "s")) * time.Second)
		}
	})
}

func TestABatchIntoTooFewDecisionsPanics(t *testing.T) {
	h := newHosts(t, config(newClock()))
	require.Panics(t, func() { h.CheckBatch(make([]quota.Request, 2), make([]quota.Decision, 1)) })
	require.Zero(t, h.Stats().Hosts)
}

func TestABatchAllocatesNothing(t *testing.T) {
	h := newHosts(t, config(newClock()))
	requests, out := make([]quota.Request, 64), make([]quota.Decision, 64)
	for i := range requests {
		requests[i] = quota.Request{Key: stranger(i % 40), Origin: overCoAP}
	}
	require.Zero(t, testing.AllocsPerRun(2, func() { h.CheckBatch(requests[:40], out) }))
}
