package e2e_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// patience is how long a test waits for what must happen soon.
const patience = 15 * time.Second

// binary is weir, built once for all tests with -race if they are.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "weir-e2e")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "weir")
	args := []string{"build", "-o", path}
	if raceEnabled {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, "../cmd/weir")...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := binary(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// gateway is a running weir process and where it listens.
type gateway struct {
	HTTP    string // http://127.0.0.1:…
	MQTT    string // host:port
	CoAP    string // host:port
	Control string // http://…
	NATS    string // nats://…
	Dir     string // of its data and its configuration
	Config  string // the configuration file

	cmd    *exec.Cmd
	log    *logbook
	exited chan struct{}
	err    error // of the exit; set before exited is closed
}

// ports makes every listener take any port.
const ports = `
transports:
  http: {listen: "127.0.0.1:0"}
  mqtt: {listen: "127.0.0.1:0"}
  coap: {listen: "127.0.0.1:0"}
control: {listen: "127.0.0.1:0"}
nats: {embedded: {listen: "127.0.0.1:0"}}
`

// start runs weir on a configuration, in a folder of its own, until the test
// ends. Sections of extra may name any but those of ports, which env can reach:
// "WEIR_NATS__URL=…".
func start(t *testing.T, extra string, env ...string) *gateway {
	t.Helper()
	return startIn(t, t.TempDir(), ports+extra, env...)
}

// startIn runs weir in dir on exactly this configuration.
func startIn(t *testing.T, dir, yaml string, env ...string) *gateway {
	t.Helper()
	g := launch(t, dir, yaml, env...)
	select {
	case <-g.log.ready:
	case <-g.exited:
		t.Fatalf("weir ended at start: %v\n%s", g.err, g.log)
	case <-time.After(patience):
		t.Fatalf("weir is not ready\n%s", g.log)
	}
	g.read()
	return g
}

// launch runs weir without waiting for it to be ready.
func launch(t *testing.T, dir, yaml string, env ...string) *gateway {
	t.Helper()
	path, err := binary()
	require.NoError(t, err)
	g := &gateway{Dir: dir, Config: filepath.Join(dir, "weir.yaml"), exited: make(chan struct{})}
	require.NoError(t, os.WriteFile(g.Config, []byte(yaml), 0o600))
	g.cmd = exec.Command(path, "serve", "--config", g.Config)
	g.cmd.Dir = dir
	g.cmd.Env = append(os.Environ(), env...)
	g.log = newLogbook()
	stderr, err := g.cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, g.cmd.Start())
	go func() {
		g.log.follow(stderr)
		g.err = g.cmd.Wait()
		close(g.exited)
	}()
	t.Cleanup(func() {
		g.kill()
		if t.Failed() {
			t.Logf("weir's log:\n%s", g.log)
		}
	})
	return g
}

// read takes the addresses out of the ready block.
func (g *gateway) read() {
	g.HTTP = g.log.address("http")
	g.MQTT = strings.TrimPrefix(g.log.address("mqtt"), "mqtt://")
	g.CoAP = strings.TrimPrefix(g.log.address("coap"), "coap://")
	g.Control = g.log.address("control")
	g.NATS = g.log.address("nats")
}

// kill ends weir as a power cut would, if it still runs.
func (g *gateway) kill() {
	g.cmd.Process.Kill()
	<-g.exited
}

// stop ends weir as an operator does, and is its exit code.
func (g *gateway) stop(t *testing.T) int {
	t.Helper()
	require.NoError(t, g.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-g.exited:
	case <-time.After(patience):
		t.Fatalf("weir did not stop\n%s", g.log)
	}
	return g.cmd.ProcessState.ExitCode()
}

// restart runs weir again on the same folder and configuration.
func (g *gateway) restart(t *testing.T, env ...string) *gateway {
	t.Helper()
	yaml, err := os.ReadFile(g.Config)
	require.NoError(t, err)
	return startIn(t, g.Dir, string(yaml), env...)
}

// rss is weir's resident memory in bytes.
func (g *gateway) rss(t *testing.T) int64 {
	t.Helper()
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", g.cmd.Process.Pid))
	require.NoError(t, err)
	var size, resident int64
	_, err = fmt.Sscan(string(statm), &size, &resident)
	require.NoError(t, err)
	return resident * int64(os.Getpagesize())
}

// metric is the sum of a metric's samples whose name and labels contain all of
// parts.
func (g *gateway) metric(t *testing.T, parts ...string) float64 {
	t.Helper()
	resp, err := http.Get(g.Control + "/metrics")
	require.NoError(t, err)
	defer resp.Body.Close()
	sum := 0.0
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "#") || !containsAll(line, parts) {
			continue
		}
		var v float64
		_, err := fmt.Sscan(line[strings.LastIndexByte(line, ' ')+1:], &v)
		require.NoError(t, err, line)
		sum += v
	}
	return sum
}

func containsAll(s string, parts []string) bool {
	for _, p := range parts {
		if !strings.Contains(s, p) {
			return false
		}
	}
	return true
}

// connect is a NATS connection to where weir stores.
func (g *gateway) connect(t *testing.T) *nats.Conn {
	t.Helper()
	conn, err := nats.Connect(g.NATS)
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	return conn
}

// stored is everything in a stream, in order.
func stored(t *testing.T, conn *nats.Conn, stream string) []jetstream.Msg {
	t.Helper()
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	s, err := js.Stream(ctx, stream)
	require.NoError(t, err)
	info, err := s.Info(ctx)
	require.NoError(t, err)
	consumer, err := s.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
	require.NoError(t, err)
	all := make([]jetstream.Msg, 0, info.State.Msgs)
	for uint64(len(all)) < info.State.Msgs {
		most := min(500, int(info.State.Msgs)-len(all))
		batch, err := consumer.Fetch(most, jetstream.FetchMaxWait(5*time.Second))
		require.NoError(t, err)
		before := len(all)
		for m := range batch.Messages() {
			all = append(all, m)
		}
		require.NoError(t, batch.Error())
		require.Greater(t, len(all), before, "the stream says %d messages", info.State.Msgs)
	}
	return all
}

// host is the host:port of a URL.
func host(t *testing.T, text string) string {
	t.Helper()
	u, err := url.Parse(text)
	require.NoError(t, err)
	return u.Host
}

// logbook keeps what a process says on standard error.
type logbook struct {
	ready chan struct{} // closed at the end of the ready block

	mu    sync.Mutex // guards lines
	lines []string
}

func newLogbook() *logbook { return &logbook{ready: make(chan struct{})} }

func (l *logbook) follow(r io.Reader) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		l.mu.Lock()
		l.lines = append(l.lines, lines.Text())
		l.mu.Unlock()
		if strings.HasPrefix(lines.Text(), "  watch ") {
			close(l.ready)
		}
	}
	io.Copy(io.Discard, r)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}

// address is what the ready block says of a listener.
func (l *logbook) address(name string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		if f := strings.Fields(line); len(f) == 2 && f[0] == name && strings.HasPrefix(line, "  ") {
			return f[1]
		}
	}
	return ""
}

// tool is the path of a program that the test drives weir with. Without it the
// test is skipped, or fails where WEIR_E2E=all.
func tool(t *testing.T, name, from string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	missing(t, name+" (in "+from+")")
	return ""
}

func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("WEIR_E2E") == "all" {
		t.Fatalf("WEIR_E2E=all, and there is no %s", what)
	}
	t.Skipf("there is no %s", what)
}

// run runs a program and is what it printed, both outputs together, and its
// exit code.
func run(t *testing.T, name string, args ...string) (string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatalf("%s: %v", name, err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// execOutput runs a program outside of a test's context, for cleaning up.
func execOutput(name string, args ...string) (string, error) {
	out, err := exec.Command(name, args...).CombinedOutput()
	return string(out), err
}
