package app

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestUnwind: last in, first out, whatever fails, and a step that hangs holds
// up the others for its own bound only.
func TestUnwind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s stack
		var order []string
		errFlush := errors.New("disk full")
		s.push("NATS", time.Second, func(context.Context) error {
			order = append(order, "NATS")
			return nil
		})
		s.push("reports", time.Second, func(context.Context) error {
			order = append(order, "reports")
			return errFlush
		})
		s.push("transports", 3*time.Second, func(ctx context.Context) error {
			order = append(order, "transports")
			<-ctx.Done()
			return ctx.Err()
		})
		begin := time.Now()
		err := s.unwind(t.Context())
		require.Equal(t, []string{"transports", "reports", "NATS"}, order)
		require.ErrorIs(t, err, errFlush)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "stop reports: disk full")
		require.Equal(t, 3*time.Second, time.Since(begin))
		require.NoError(t, s.unwind(t.Context()), "nothing is left to undo")
	})
}
