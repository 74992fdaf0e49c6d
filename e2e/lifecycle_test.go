package e2e_test

import (
	"bufio"
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
	g.exits(t, begin)
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

// TestStoppingInTime: clients that say nothing, or never end their request, do
// not hold the gateway for more than 10 s, nor does SIGINT differ from SIGTERM.
func TestStoppingInTime(t *testing.T) {
	t.Parallel()
	g := start(t, "")
	say := func(addr, text string) net.Conn {
		conn, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		t.Cleanup(func() { conn.Close() })
		_, err = io.WriteString(conn, text)
		require.NoError(t, err)
		return conn
	}
	for _, addr := range []string{host(t, g.HTTP), g.MQTT, host(t, g.Control)} {
		say(addr, "")
	}
	slow := say(host(t, g.HTTP), "POST /api/v1/pump/telemetry HTTP/1.1\r\nHost: weir\r\nContent-Length: 100\r\n\r\n{")
	require.Eventually(t, func() bool { return g.metric(t, "weir_requests_total", `"http"`, `"admitted"`) == 1 }, patience, 10*time.Millisecond)
	begin := time.Now()
	require.NoError(t, g.cmd.Process.Signal(syscall.SIGINT))
	require.NoError(t, slow.SetReadDeadline(time.Now().Add(patience)))
	resp, err := http.ReadResponse(bufio.NewReader(slow), nil)
	require.NoError(t, err)
	require.Equal(t, 503, resp.StatusCode)
	g.exits(t, begin)
	require.NotContains(t, g.log.String(), "level=WARN")
}

// exits waits for a stop, which ends well and within 10 s.
func (g *gateway) exits(t *testing.T, begin time.Time) {
	t.Helper()
	select {
	case <-g.exited:
	case <-time.After(patience):
		t.Fatal("weir did not end")
	}
	require.Less(t, time.Since(begin), 10*time.Second)
	require.Zero(t, g.cmd.ProcessState.ExitCode(), g.log)
	require.NotContains(t, g.log.String(), "level=ERROR")
}

// TestStoppingWithoutTheStore: NATS is silent, and what is in hand is told so
// before its connection closes, never acknowledged; health is to be had while it
// is waited for.
func TestStoppingWithoutTheStore(t *testing.T) {
	t.Parallel()
	store := startExternal(t)
	line := newStall(t, store.server.Addr().String())
	g := start(t, "", "WEIR_NATS__URL=nats://"+line.Addr().String())
	require.Equal(t, 200, post(t, g, "pump").StatusCode)
	p := mqttHello(t, g, true, "fan")
	close(line.stalled)

	told := make(chan int, 1)
	go func() {
		resp, err := http.Post(g.HTTP+"/api/v1/pump/telemetry", "application/json", strings.NewReader("{}"))
		if err != nil {
			told <- 0
			return
		}
		resp.Body.Close()
		told <- resp.StatusCode
	}()
	p.send(p.publish("v1/devices/me/telemetry", 1, "{}"))
	for _, protocol := range []string{`"http"`, `"mqtt"`} { // two each: the POST before, and CONNECT
		require.Eventually(t, func() bool { return g.metric(t, "weir_requests_total", protocol, `"admitted"`) == 2 }, patience, 10*time.Millisecond)
	}
	begin := time.Now()
	require.NoError(t, g.cmd.Process.Signal(syscall.SIGTERM))
	head, body := p.read()
	require.EqualValues(t, 0xE0, head, "DISCONNECT")
	require.EqualValues(t, 0x8B, body[0])
	require.Equal(t, 503, <-told)
	require.Equal(t, 200, status(g.Control+"/healthz"))
	require.Equal(t, 503, status(g.Control+"/readyz"))
	g.exits(t, begin)
}

// stall is a way to a server on which nothing more moves once stalled is closed.
type stall struct {
	net.Listener
	stalled chan struct{}
}

func newStall(t *testing.T, to string) *stall {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &stall{ln, make(chan struct{})}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			near, err := ln.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				continue
			}
			t.Cleanup(func() { near.Close(); far.Close() })
			go s.copy(near, far)
			go s.copy(far, near)
		}
	}()
	return s
}

func (s *stall) copy(to io.Writer, from io.Reader) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		select {
		case <-s.stalled:
			return
		default:
		}
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
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
