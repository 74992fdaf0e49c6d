package e2e_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// TestStopping: readiness fails first, nobody new comes in, MQTT 5 clients are
// told 0x8B, what is in hand is answered, and the exit code is 0 within 10 s.
func TestStopping(t *testing.T) {
	t.Parallel()
	g := start(t, "")
	asked := make(chan *nats.Msg, 1)
	conn := g.connect(t)
	_, err := conn.Subscribe("weir.call.>", func(m *nats.Msg) { asked <- m })
	require.NoError(t, err)
	require.NoError(t, conn.Flush())
	goodbye := make(chan *paho.Disconnect, 1)
	connectV5(t, g, "pump", func(d *paho.Disconnect) { goodbye <- d })
	old := mqttHello(t, g, false, "fan")
	require.Equal(t, "ready\n", g.get(t, "/readyz"))

	answered := make(chan string, 1)
	go func() { answered <- question(g) }()
	var in *nats.Msg
	select {
	case in = <-asked:
	case <-time.After(patience):
		t.Fatal("the question did not come")
	}

	begin := time.Now()
	require.NoError(t, g.cmd.Process.Signal(syscall.SIGTERM))
	require.Eventually(t, func() bool { return status(g.Control+"/readyz") == 503 }, patience, time.Millisecond, "readiness while a request is in hand")
	require.Equal(t, 200, status(g.Control+"/healthz"))
	select {
	case d := <-goodbye:
		require.EqualValues(t, 0x8B, d.ReasonCode)
	case <-time.After(patience):
		t.Fatal("no DISCONNECT")
	}
	old.closed()
	for _, addr := range []string{host(t, g.HTTP), g.MQTT} {
		require.Eventually(t, func() bool { return refusesConnections(addr) }, patience, time.Millisecond, addr)
	}
	require.NoError(t, in.Respond([]byte(`{"late":true}`)))
	select {
	case got := <-answered:
		require.Equal(t, `200 {"late":true}`, got)
	case <-time.After(patience):
		t.Fatal("the request in hand was not answered")
	}
	select {
	case <-g.exited:
	case <-time.After(patience):
		t.Fatal("weir did not end")
	}
	require.Zero(t, g.cmd.ProcessState.ExitCode(), g.log)
	require.Less(t, time.Since(begin), 10*time.Second)
	require.NotContains(t, g.log.String(), "level=ERROR")
}

// question asks for a device's attributes and is the status and the body.
func question(g *gateway) string {
	resp, err := http.Get(g.HTTP + "/api/v1/pump/attributes")
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(resp.StatusCode, " ", string(body))
}

// status is a page's, 0 where there is none.
func status(url string) int {
	resp, err := http.Get(url)
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

func refusesConnections(addr string) bool {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return true
	}
	conn.Close()
	return false
}

// TestStoppingInTime: a client that never ends its request does not hold the
// gateway for more than 10 s, nor does SIGINT differ from SIGTERM.
func TestStoppingInTime(t *testing.T) {
	t.Parallel()
	g := start(t, "")
	conn, err := net.Dial("tcp", host(t, g.HTTP))
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "POST /api/v1/pump/telemetry HTTP/1.1\r\nHost: weir\r\nContent-Length: 100\r\n\r\n{")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return g.metric(t, `weir_connections{transport="http"}`) == 1 }, patience, 10*time.Millisecond)
	begin := time.Now()
	require.NoError(t, g.cmd.Process.Signal(syscall.SIGINT))
	select {
	case <-g.exited:
	case <-time.After(patience):
		t.Fatal("weir did not end")
	}
	require.Less(t, time.Since(begin), 10*time.Second)
	require.Zero(t, g.cmd.ProcessState.ExitCode(), g.log)
}

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

// TestARestartKeepsWhatIsStored, after SIGTERM and on the same folder.
func TestARestartKeepsWhatIsStored(t *testing.T) {
	t.Parallel()
	g := start(t, "")
	require.Equal(t, 200, post(t, g, "pump").StatusCode)
	p := mqttHello(t, g, false, "pump")
	p.send(p.publish("v1/devices/me/telemetry", 1, "21.5"))
	p.answered(1, 0, "")
	require.Zero(t, g.stop(t))

	g = g.restart(t)
	require.Len(t, kept(t, g.connect(t), "WEIR_UP"), 1)
	require.Len(t, kept(t, g.connect(t), "WEIR_DEAD"), 1)
	require.NotEmpty(t, kept(t, g.connect(t), "WEIR_EVENTS"))
	require.Equal(t, 200, post(t, g, "pump").StatusCode)
	require.Len(t, kept(t, g.connect(t), "WEIR_UP"), 2)
}

// TestNobodyListensIn: mosquitto_sub cannot read another device's topics, its
// own telemetry, $SYS, or everything.
func TestNobodyListensIn(t *testing.T) {
	t.Parallel()
	client := tool(t, "mosquitto_sub", "mosquitto-clients")
	g := start(t, "")
	addr, port, err := net.SplitHostPort(g.MQTT)
	require.NoError(t, err)
	heard := make(chan string, len(versions))
	for _, v := range []string{"mqttv311", "mqttv5"} {
		go func() {
			out, _ := run(t, client, "-V", v, "-h", addr, "-p", port, "-u", "spy", "-i", "spy-"+v, "-W", "3", "-v",
				"-t", "v1/devices/me/attributes", "-t", "#", "-t", "$SYS/#", "-t", "v1/devices/pump/telemetry", "-t", "v1/devices/me/telemetry")
			heard <- out
		}()
	}
	require.Eventually(t, func() bool { return g.metric(t, `weir_connections{transport="mqtt"}`) == 2 }, patience, 10*time.Millisecond)
	p := mqttHello(t, g, true, "pump")
	for range 10 {
		for _, topic := range []string{"v1/devices/me/telemetry", "v1/devices/me/attributes", "anything"} {
			p.send(p.publish(topic, 1, `{"secret":1}`))
			head, _ := p.read()
			require.EqualValues(t, 0x40, head)
		}
	}
	for range 2 {
		require.NotContains(t, <-heard, "secret")
	}
	out, _ := run(t, client, "-h", addr, "-p", port, "-u", "spy", "-W", "3", "-t", "#")
	require.Contains(t, out, "denied")
}
