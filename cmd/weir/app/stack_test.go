package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/config"
)

// TestUnwind: last in, first out, whatever fails, and a step that hangs holds
// up the others for its own bound only.
func TestUnwind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s stack
		var order []string
		errFlush := errors.New("disk full")
		s.push("NATS", time.Second, time.Second, func(context.Context) error {
			order = append(order, "NATS")
			return nil
		})
		s.push("reports", time.Second, time.Second, func(context.Context) error {
			order = append(order, "reports")
			return errFlush
		})
		s.push("transports", 3*time.Second, time.Second, func(ctx context.Context) error {
			order = append(order, "transports")
			<-ctx.Done()
			return ctx.Err()
		})
		begin := time.Now()
		late, err := s.unwind(t.Context())
		require.Equal(t, []string{"transports", "reports", "NATS"}, order)
		require.ErrorIs(t, err, errFlush)
		require.NotErrorIs(t, err, context.DeadlineExceeded, "the bound is a stop's own, and no fault")
		require.ErrorIs(t, late, context.DeadlineExceeded)
		require.ErrorContains(t, late, "stop transports: ")
		require.NotErrorIs(t, late, errFlush)
		require.ErrorContains(t, err, "stop reports: disk full")
		require.Equal(t, 3*time.Second, time.Since(begin))
		late, err = s.unwind(t.Context())
		require.NoError(t, errors.Join(late, err), "nothing is left to undo")
	})
}

// TestUnwindSorts: of what a step joins, each error is late or a fault by
// itself.
func TestUnwindSorts(t *testing.T) {
	var s stack
	errPort, errSocket := errors.New("port"), errors.New("socket")
	s.push("transports", time.Second, time.Second, func(context.Context) error {
		return errors.Join(errPort, errors.Join(fmt.Errorf("http: %w", context.DeadlineExceeded), errSocket))
	})
	late, err := s.unwind(t.Context())
	require.EqualError(t, err, "stop transports: port\nstop transports: socket")
	require.EqualError(t, late, "stop transports: http: context deadline exceeded")
}

// TestUnwindLeavesWhatDoesNotEnd, and gives the next step its time.
func TestUnwindLeavesWhatDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s stack
		flushed := false
		end := make(chan struct{})
		s.push("NATS", time.Second, time.Second, func(ctx context.Context) error {
			flushed = ctx.Err() == nil
			return nil
		})
		s.push("goroutines", 2*time.Second, time.Second, func(context.Context) error { <-end; return nil })
		begin := time.Now()
		late, err := s.unwind(t.Context())
		require.NoError(t, err)
		require.EqualError(t, late, "stop goroutines: it does not end: context deadline exceeded")
		require.Equal(t, 3*time.Second, time.Since(begin))
		require.True(t, flushed)
		close(end)
	})
}

// TestAStopFits into the 10 s of contract section 1, whatever its steps do;
// readiness goes first, control outlives the store.
func TestAStopFits(t *testing.T) {
	loaded, err := config.Parse("weir.yaml", fmt.Appendf(nil, `
transports: {http: {listen: "127.0.0.1:0"}, mqtt: {listen: "127.0.0.1:0"}, coap: {listen: "127.0.0.1:0"}}
control: {listen: "127.0.0.1:0"}
nats: {embedded: {listen: "127.0.0.1:0", dir: %q}}`, filepath.Join(t.TempDir(), "data")), nil)
	require.NoError(t, err)
	a, err := New(&Options{Config: loaded})
	require.NoError(t, err)
	require.NoError(t, a.Start(t.Context()))
	var sum time.Duration
	var order []string
	for _, st := range slices.Backward(a.undo.steps) {
		sum += st.bound + st.rest
		order = append(order, st.name)
	}
	require.NoError(t, a.Stop(t.Context()))
	require.Less(t, sum, 10*time.Second)
	require.Equal(t, []string{"readiness", "transports", "reports", "counters", "NATS", "control", "goroutines"}, order)
}
