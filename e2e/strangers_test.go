package e2e_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// flood is how many strangers come, and how many hosts are counted at once. The
// race detector's own memory hides weir's: with it they are fewer, and only the
// service is held to.
type flood struct{ coap, http, mqtt, maxHosts int }

func theFlood() flood {
	if raceEnabled {
		return flood{20_000, 10_000, 500, 5_000}
	}
	return flood{200_000, 100_000, 5_000, 50_000}
}

const (
	growth   = 64 << 20 // bytes that strangers may cost in all
	senders  = 8        // at once
	pipeline = 100      // HTTP requests of a sender that await their answers
)

// TestStrangersCostNoMemory: with more hosts than are counted, each with a
// token of its own, the memory stays, and who belongs here is served.
func TestStrangersCostNoMemory(t *testing.T) {
	n := theFlood()
	g := startIn(t, t.TempDir(), fmt.Sprintf(`
transports:
  http: {listen: "127.0.0.1:0", trustedProxies: [127.0.0.1], forwarded: xff}
  mqtt: {listen: "127.0.0.1:0"}
  coap: {listen: "127.0.0.1:0"}
control: {listen: "127.0.0.1:0"}
nats: {embedded: {listen: "127.0.0.1:0"}}
quota: {host: {enabled: true, limit: 10, intervalMs: 600000, ttlMs: 600000, maxHosts: %d, whitelist: ""}}
`, n.maxHosts)+devicesOf("pump"))
	served(t, g, "127.200.0.1")
	before := g.rss(t)
	lines, series := g.logLines(), g.series(t)

	inParallel(t, n.coap, func(from, to int) error { return coapStrangers(g, from, to) })
	require.LessOrEqual(t, g.metric(t, "weir_quota_hosts"), float64(n.maxHosts))
	served(t, g, "127.200.0.2")
	inParallel(t, n.http, func(from, to int) error { return httpStrangers(t, g, from, to) })
	require.LessOrEqual(t, g.metric(t, "weir_quota_hosts"), float64(n.maxHosts))
	require.Greater(t, g.metric(t, "weir_quota_hosts"), float64(n.maxHosts)/2)
	served(t, g, "127.200.0.3")

	require.GreaterOrEqual(t, g.metric(t, "weir_requests_total", `"coap"`), float64(n.coap))
	require.GreaterOrEqual(t, g.metric(t, "weir_requests_total", `"http"`), float64(n.http))
	g.stillQuiet(t, lines, series)
	grown := g.rss(t) - before
	t.Logf("resident memory: %d MiB before, %+d KiB after", before>>20, grown>>10)
	if !raceEnabled {
		require.Less(t, grown, int64(growth))
	}
}

// inParallel has senders at once take their share of n.
func inParallel(t *testing.T, n int, work func(from, to int) error) {
	t.Helper()
	errs := make([]error, senders)
	var all sync.WaitGroup
	for i := range senders {
		all.Go(func() { errs[i] = work(i*n/senders, (i+1)*n/senders) })
	}
	all.Wait()
	require.NoError(t, errors.Join(errs...))
}

// numbered is the i-th address of 127/8 from 127.1.0.0 on.
func numbered(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, byte(1 + i>>16), byte(i >> 8), byte(i)})
}

// served fails unless a device at addr has its readings stored over CoAP and
// MQTT, and anybody's over HTTP.
func served(t *testing.T, g *gateway, addr string) {
	t.Helper()
	conn := udpFrom(t, g, netip.MustParseAddr(addr))
	p := &coapPeer{t: t, conn: conn}
	require.Equal(t, "2.01", dotted(p.ask(coapAsk{code: 2, path: "/api/v1/pump-token/telemetry", payload: "{}"}).Code))
	m := mqttHello(t, g, false, "pump-token")
	m.send(m.publish("v1/devices/me/telemetry", 1, "{}"))
	m.answered(1, 0, "")
	m.conn.Close()
	req, err := http.NewRequest("POST", g.HTTP+"/api/v1/pump-token/telemetry", strings.NewReader("{}"))
	require.NoError(t, err)
	req.Header.Set("X-Forwarded-For", addr)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, 200, resp.StatusCode)
}

func udpFrom(t *testing.T, g *gateway, addr netip.Addr) net.Conn {
	t.Helper()
	conn, err := dialUDP(g, addr)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

func dialUDP(g *gateway, addr netip.Addr) (net.Conn, error) {
	dialer := net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, 0))}
	return dialer.Dial("udp", g.CoAP)
}

// coapStrangers are hosts with one bad request each. Each waits for its answer
// before the next comes, so that none is lost in a full socket.
func coapStrangers(g *gateway, from, to int) error {
	answer := make([]byte, 256)
	for i := from; i < to; i++ {
		conn, err := dialUDP(g, numbered(i))
		if err != nil {
			return err
		}
		token := fmt.Sprintf("stranger-%07d", i)
		// CON POST /api/v1/{token}/telemetry, message id and token of its number.
		d := []byte{0x41, 2, byte(i >> 8), byte(i), byte(i), 0xB3, 'a', 'p', 'i', 2, 'v', '1', 13, byte(len(token) - 13)}
		d = append(append(d, token...), 9)
		d = append(append(d, "telemetry"...), 0xFF, '{', '}')
		err = heard(conn, d, answer)
		conn.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", numbered(i), err)
		}
		if answer[1] != 0x81 { // 4.01
			return fmt.Errorf("%s was answered %#x", numbered(i), answer[1])
		}
	}
	return nil
}

// heard sends a datagram, again if need be, until it is answered.
func heard(conn net.Conn, d, answer []byte) error {
	var err error
	for range 4 {
		if _, err = conn.Write(d); err != nil {
			return err
		}
		if err = conn.SetReadDeadline(time.Now().Add(patience / 4)); err != nil {
			return err
		}
		if _, err = conn.Read(answer); !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
	}
	return err
}

// httpStrangers are clients of a trusted proxy, with one bad request each over
// one of its connections.
func httpStrangers(t *testing.T, g *gateway, from, to int) error {
	conn, err := net.Dial("tcp", host(t, g.HTTP))
	if err != nil {
		return err
	}
	defer conn.Close()
	in, out := bufio.NewReader(conn), bufio.NewWriter(conn)
	for i := from; i < to; i += pipeline {
		last := min(i+pipeline, to)
		for j := i; j < last; j++ {
			fmt.Fprintf(out, "POST /api/v1/stranger-%d/telemetry HTTP/1.1\r\nHost: weir\r\nX-Forwarded-For: 10.%d.%d.%d\r\nContent-Length: 2\r\n\r\n{}",
				j, j>>16, j>>8&255, j&255)
		}
		if err := out.Flush(); err != nil {
			return err
		}
		for j := i; j < last; j++ {
			if err := unauthorized(in); err != nil {
				return err
			}
		}
	}
	return nil
}

func unauthorized(in *bufio.Reader) error {
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		return errors.New(resp.Status)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// TestStrangersThatSayNothing: connections without CONNECT are dropped at the
// deadline; the next ones cost nothing more, and who belongs here is served
// meanwhile.
func TestStrangersThatSayNothing(t *testing.T) {
	t.Parallel()
	n := theFlood().mqtt
	g := start(t, "\nquota: {host: {enabled: true, limit: 1000, whitelist: ''}}"+devicesOf("pump"))
	pump := mqttHello(t, g, true, "pump-token")
	pump.alive()
	before, goroutines := g.rss(t), g.metric(t, "go_goroutines")
	var after [2]int64
	for round := range after {
		conns := silent(t, g, n)
		pump.alive()
		require.Eventually(t, func() bool { return g.metric(t, "process_open_fds") > float64(n) }, patience, 50*time.Millisecond)
		for _, c := range conns {
			require.NoError(t, c.SetReadDeadline(time.Now().Add(2*patience)))
			_, err := c.Read(make([]byte, 1))
			require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "it was not dropped")
			require.Error(t, err)
			c.Close()
		}
		require.Eventually(t, func() bool {
			return g.metric(t, "go_goroutines") <= goroutines
		}, patience, 50*time.Millisecond, "goroutines are left over")
		after[round] = g.rss(t)
		pump.alive()
	}
	t.Logf("resident memory: %d MiB before, %+d KiB after the first, %+d KiB more after the second", before>>20, (after[0]-before)>>10, (after[1]-after[0])>>10)
	if !raceEnabled {
		require.Less(t, after[0]-before, int64(growth))
		require.Less(t, after[1]-after[0], int64(growth/4), "memory is used again")
	}
}

// silent are n connections of as many hosts.
func silent(t *testing.T, g *gateway, n int) []net.Conn {
	t.Helper()
	conns := make([]net.Conn, n)
	inParallel(t, n, func(from, to int) error {
		for i := from; i < to; i++ {
			dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(numbered(i), 0))}
			conn, err := dialer.Dial("tcp", g.MQTT)
			if err != nil {
				return err
			}
			conns[i] = conn
		}
		return nil
	})
	t.Cleanup(func() {
		for _, c := range conns {
			c.Close()
		}
	})
	return conns
}
