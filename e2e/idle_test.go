package e2e_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestIdleAfterLoad: a while after the last request the table is empty and no
// goroutine, connection or device session is left over.
func TestIdleAfterLoad(t *testing.T) {
	t.Parallel()
	g := start(t, `
quota:
  host: {enabled: true, limit: 100000, intervalMs: 1000, ttlMs: 1000, cleanPeriodMs: 500, whitelist: ""}
`)
	require.Eventually(t, func() bool { return g.metric(t, "weir_quota_hosts") == 0 }, patience, 10*time.Millisecond)
	before := g.metric(t, "go_goroutines")

	load(t, g)
	require.NotZero(t, g.metric(t, "weir_requests_total"))

	require.Eventually(t, func() bool {
		return g.metric(t, "weir_quota_hosts") == 0 && g.metric(t, "weir_connections{") == 0
	}, patience, 50*time.Millisecond, "hosts or connections are left over")
	require.Eventually(t, func() bool { return g.metric(t, "go_goroutines") <= before }, patience, 50*time.Millisecond,
		"%v goroutines before, %v now", before, g.metric(t, "go_goroutines"))
	require.Zero(t, g.metric(t, "weir_uplink_queue"))
	require.Zero(t, g.metric(t, "weir_quota_spells"))
	require.Equal(t, 200, post(t, g, "pump").StatusCode)
}

// load is some devices' work over each protocol, and hosts that come once.
func load(t *testing.T, g *gateway) {
	t.Helper()
	var all sync.WaitGroup
	for _, p := range protocols {
		for i := range 10 {
			all.Go(func() {
				s, err := p.dial(g, fmt.Sprintf("%s-%d", p.name, i))
				if err != nil {
					t.Error(err)
					return
				}
				defer s.close()
				for n := range 20 {
					if err := s.send(t.Context(), payload(p.name, n)); err != nil {
						t.Errorf("%s: %v", p.name, err)
					}
				}
			})
		}
	}
	all.Wait()
	require.NoError(t, coapOnce(g, 200))
}

// coapOnce are hosts that come once, each from an address of its own.
func coapOnce(g *gateway, n int) error {
	answer := make([]byte, 256)
	for i := range n {
		conn, err := dialUDP(g, numbered(i))
		if err != nil {
			return err
		}
		// CON POST /api/v1/x/telemetry
		d := append([]byte{0x40, 2, 0, byte(i), 0xB3, 'a', 'p', 'i', 2, 'v', '1', 1, 'x', 9}, "telemetry\xFF{}"...)
		err = heard(conn, d, answer)
		conn.Close()
		if err != nil {
			return err
		}
		if answer[1] != 0x41 && answer[1] != 0 { // 2.01, or an empty ACK before it
			return fmt.Errorf("%s was answered %#x", numbered(i), answer[1])
		}
	}
	return nil
}
