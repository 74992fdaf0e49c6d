package e2e_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// limitOf is a configuration that a reload can change to another.
func limitOf(limit int, more string) string {
	return ports + fmt.Sprintf("quota: {host: {enabled: true, profile: standard, limit: %d, intervalMs: 600000, ttlMs: 600000, whitelist: \"\"%s}}\n", limit, more)
}

// reloaded waits until the gateway has counted n reloads of a result.
func (g *gateway) reloaded(t *testing.T, result string, n float64) {
	t.Helper()
	require.Eventually(t, func() bool {
		return g.metric(t, "weir_config_reloads_total", result) >= n
	}, patience, 10*time.Millisecond, "%s", g.log)
}

// TestReload: a new limit bites at once, with no connection dropped and no
// counter lost; by SIGHUP and by the file's change alone.
func TestReload(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		signal bool
	}{{"SIGHUP", true}, {"the file's change", false}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := startIn(t, t.TempDir(), limitOf(1000, ""))
			reload := func(yaml string, n float64) {
				g.rewrite(t, yaml)
				if tt.signal {
					require.NoError(t, g.cmd.Process.Signal(syscall.SIGHUP))
				}
				g.reloaded(t, "ok", n)
			}
			p := mqttHello(t, g, true, "pump") // 1
			for range 4 {                      // 5
				p.send(p.publish("v1/devices/me/telemetry", 1, `{"n":1}`))
				p.answered(1, 0, "")
			}
			reload(limitOf(6, ""), 1)
			p.send(p.publish("v1/devices/me/telemetry", 1, `{"n":1}`)) // 6
			p.answered(1, 0, "")
			p.send(p.publish("v1/devices/me/telemetry", 1, `{"n":1}`))
			p.answered(1, 0x97, "used 6 of 6")
			require.Equal(t, 429, post(t, g, "pump").StatusCode)

			reload(limitOf(20, ""), 2)
			p.send(p.publish("v1/devices/me/telemetry", 1, `{"n":1}`)) // 7
			p.answered(1, 0, "")
			resp := post(t, g, "pump") // 8
			require.Equal(t, 200, resp.StatusCode)
			require.Contains(t, resp.Header.Get("RateLimit"), ";r=12;", "no counter starts anew")
		})
	}
}

// TestABadReload leaves the old configuration in force, and says so.
func TestABadReload(t *testing.T) {
	t.Parallel()
	g := startIn(t, t.TempDir(), limitOf(3, ""))
	p := mqttHello(t, g, true, "pump") // 1
	for i, bad := range []string{"quota: {host: {limit: lots}}\n", "quota: [", limitOf(9, ", blacklist: 300.1.2.3")} {
		g.rewrite(t, bad)
		require.NoError(t, g.cmd.Process.Signal(syscall.SIGHUP))
		g.reloaded(t, "failed", float64(i+1))
	}
	require.Zero(t, g.metric(t, "weir_config_reloads_total", "ok"))
	require.Regexp(t, `level=ERROR .*weir\.yaml:1: quota\.host\.limit`, g.log.String())
	p.send(p.publish("v1/devices/me/telemetry", 1, `{"n":1}`)) // 2
	p.answered(1, 0, "")
	require.Equal(t, 200, post(t, g, "pump").StatusCode) // 3
	require.Equal(t, 429, post(t, g, "pump").StatusCode)

	g.rewrite(t, limitOf(4, ""))
	g.reloaded(t, "ok", 1)
	require.Equal(t, 200, post(t, g, "pump").StatusCode, "the next good file is taken")
	require.Zero(t, strings.Count(g.log.String(), "panic"))
}

// TestARestartIsAnnounced: what a reload cannot change is named, and waits.
func TestARestartIsAnnounced(t *testing.T) {
	t.Parallel()
	g := startIn(t, t.TempDir(), limitOf(3, ""))
	g.rewrite(t, limitOf(3, ", maxHosts: 1000"))
	g.reloaded(t, "ok", 1)
	require.Regexp(t, `level=WARN .*restart.*quota\.host\.maxHosts`, g.log.String())
}

// TestANewBan: a host that is put on the black list loses its live sessions,
// and every further request.
func TestANewBan(t *testing.T) {
	t.Parallel()
	g := startIn(t, t.TempDir(), limitOf(1000, ""))
	five, three := mqttHello(t, g, true, "pump"), mqttHello(t, g, false, "fan")
	five.alive()
	g.rewrite(t, limitOf(1000, ", blacklist: 127.0.0.1"))
	require.NoError(t, g.cmd.Process.Signal(syscall.SIGHUP))
	head, body := five.read()
	require.EqualValues(t, 0xE0, head)
	require.EqualValues(t, 0x98, body[0])
	five.closed()
	three.closed()
	require.Equal(t, 403, post(t, g, "pump").StatusCode)
	require.Equal(t, "4.03", dotted(newCoAP(t, g).ask(coapAsk{code: 2, path: "/api/v1/pump/telemetry", payload: "{}"}).Code))
	require.Equal(t, 200, postFrom(t, g, "127.0.0.2"), "others are not concerned")

	g.rewrite(t, limitOf(1000, ""))
	require.NoError(t, g.cmd.Process.Signal(syscall.SIGHUP))
	g.reloaded(t, "ok", 2)
	mqttHello(t, g, true, "pump").alive()
}

// TestADeviceIsUnlisted: its live session ends, the others' do not.
func TestADeviceIsUnlisted(t *testing.T) {
	t.Parallel()
	g := startIn(t, t.TempDir(), ports+devicesOf("pump", "fan"))
	pump, fan := mqttHello(t, g, true, "pump-token"), mqttHello(t, g, true, "fan-token")
	g.rewrite(t, ports+devicesOf("fan", "new"))
	require.NoError(t, g.cmd.Process.Signal(syscall.SIGHUP))
	head, body := pump.read()
	require.EqualValues(t, 0xE0, head)
	require.EqualValues(t, 0x87, body[0])
	pump.closed()
	fan.alive()
	require.Equal(t, 401, post(t, g, "pump-token").StatusCode)
	require.Equal(t, 200, post(t, g, "new-token").StatusCode)
}
