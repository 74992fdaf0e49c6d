package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// outcome is what a finished weir said.
type outcome struct {
	out, errs string
	code      int
}

// weir runs the binary in dir until it ends of its own accord.
func weir(t *testing.T, dir string, env []string, args ...string) outcome {
	t.Helper()
	path, err := binary()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	require.NoError(t, ctx.Err(), "weir %v does not end\n%s", args, &errs)
	require.NotNil(t, cmd.ProcessState, "%v", err)
	return outcome{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// failedStart runs weir on a configuration that it must refuse and is what it
// said, without warnings.
func failedStart(t *testing.T, dir, yaml string, env ...string) []string {
	t.Helper()
	g := launch(t, dir, yaml, env...)
	select {
	case <-g.exited:
	case <-g.log.ready:
		t.Fatalf("weir started\n%s", g.log)
	case <-time.After(patience):
		t.Fatalf("weir neither starts nor ends\n%s", g.log)
	}
	require.Equal(t, 1, g.cmd.ProcessState.ExitCode(), g.log)
	return faultLines(t, g.log.String())
}

// faultLines are the lines of a text that are no warnings; none may be for a
// programmer.
func faultLines(t *testing.T, text string) []string {
	t.Helper()
	require.NotRegexp(t, `goroutine|panic|\.go:\d|0x[0-9a-f]{6}|%!|\*\w+\.\w+Error|&\{`, text)
	var lines []string
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		if !strings.Contains(line, " level=WARN ") {
			lines = append(lines, line)
		}
	}
	return lines
}

// oneLine fails unless lines is one that holds each of parts once.
func oneLine(t *testing.T, lines []string, parts ...string) {
	t.Helper()
	require.Len(t, lines, 1, "%s", strings.Join(lines, "\n"))
	for _, p := range parts {
		require.Equal(t, 1, strings.Count(lines[0], p), "%q in: %s", p, lines[0])
	}
}

// taken is a loopback address whose port somebody else has, over TCP and UDP.
func taken(t *testing.T) string {
	t.Helper()
	for range 100 {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		conn, err := net.ListenPacket("udp", ln.Addr().String())
		if err != nil {
			ln.Close()
			continue
		}
		t.Cleanup(func() { ln.Close(); conn.Close() })
		return ln.Addr().String()
	}
	t.Fatal("no port is free over both TCP and UDP")
	return ""
}

// free is a loopback address where nobody listens.
func free(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	return ln.Addr().String()
}

// file writes a file in a folder of its own and is its path.
func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// rewrite replaces the gateway's configuration whole, as an orchestrator does.
func (g *gateway) rewrite(t *testing.T, yaml string) {
	t.Helper()
	require.NoError(t, os.WriteFile(g.Config+".new", []byte(yaml), 0o600))
	require.NoError(t, os.Rename(g.Config+".new", g.Config))
}

// series is how many series /metrics has.
func (g *gateway) series(t *testing.T) int {
	t.Helper()
	n := 0
	for line := range strings.SplitSeq(g.get(t, "/metrics"), "\n") {
		if strings.HasPrefix(line, "weir_") {
			n++
		}
	}
	return n
}

// get is the body of a page of the control listener, whatever its status.
func (g *gateway) get(t *testing.T, path string) string {
	t.Helper()
	resp, err := http.Get(g.Control + path)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(body)
}

// logLines is how many lines the gateway has said so far.
func (g *gateway) logLines() int { return strings.Count(g.log.String(), "\n") }

// stillQuiet fails if the gateway has ended, or says more than before, or shows
// more series.
func (g *gateway) stillQuiet(t *testing.T, lines, series int) {
	t.Helper()
	select {
	case <-g.exited:
		t.Fatalf("weir ended: %v\n%s", g.err, g.log)
	default:
	}
	require.Equal(t, lines, g.logLines(), "bad requests write no log lines\n%s", g.log)
	require.Equal(t, series, g.series(t), "bad requests make no series")
	require.Zero(t, g.metric(t, "weir_panics_total"), "panics")
}

// devicesOf is a devices section of listed devices of the account acme, each of
// which has its name with "-token" as token.
func devicesOf(names ...string) string {
	var b strings.Builder
	b.WriteString("\ndevices:\n  auth: token\n  list:\n")
	for _, n := range names {
		fmt.Fprintf(&b, "    - {account: acme, device: %s, token: %s-token}\n", n, n)
	}
	return b.String()
}

// postFrom is post from an address of this machine.
func postFrom(t *testing.T, g *gateway, addr string) int {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(addr)}}
	client := http.Client{Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}}
	resp, err := client.Post(g.HTTP+"/api/v1/pump/telemetry", "application/json", strings.NewReader(`{"n":1}`))
	require.NoError(t, err)
	resp.Body.Close()
	return resp.StatusCode
}

// kept is what stored is, but asks for no more than there is, and so waits for
// nothing.
func kept(t *testing.T, conn *nats.Conn, stream string) []jetstream.Msg {
	t.Helper()
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	s, err := js.Stream(t.Context(), stream)
	require.NoError(t, err)
	left := int(s.CachedInfo().State.Msgs)
	consumer, err := s.OrderedConsumer(t.Context(), jetstream.OrderedConsumerConfig{})
	require.NoError(t, err)
	all := make([]jetstream.Msg, 0, left)
	for ; left > 0; left = cap(all) - len(all) {
		batch, err := consumer.Fetch(min(500, left), jetstream.FetchMaxWait(patience))
		require.NoError(t, err)
		before := len(all)
		for m := range batch.Messages() {
			all = append(all, m)
		}
		require.NoError(t, batch.Error())
		require.Greater(t, len(all), before, "the stream says %d messages", cap(all))
	}
	return all
}
