package app_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/weirgate/weir/cmd/weir/app"
	"github.com/weirgate/weir/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// load is a configuration on any ports, with its data in a folder of the test.
func load(t *testing.T, extra string) *config.Loaded {
	t.Helper()
	yaml := fmt.Sprintf(`
transports:
  http: {listen: "127.0.0.1:0"}
  mqtt: {listen: "127.0.0.1:0"}
  coap: {listen: "127.0.0.1:0"}
control: {listen: "127.0.0.1:0"}
nats: {embedded: {listen: "127.0.0.1:0", dir: %q}}
%s`, filepath.Join(t.TempDir(), "data"), extra)
	loaded, err := config.Parse("weir.yaml", []byte(yaml), nil)
	require.NoError(t, err)
	return loaded
}

// start is a running gateway that is stopped with the test.
func start(t *testing.T, extra string) *app.App {
	t.Helper()
	a, err := app.New(&app.Options{Config: load(t, extra), Version: "test"})
	require.NoError(t, err)
	require.NoError(t, a.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, a.Stop(context.Background())) })
	return a
}

func post(t *testing.T, a *app.App) int {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Post(a.Addrs().HTTP+"/api/v1/pump/telemetry", "application/json", strings.NewReader("{}"))
	require.NoError(t, err)
	defer resp.Body.Close()
	return resp.StatusCode
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(url)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(body)
}

// TestTheGatewayStartsAndStops, twice asked, and leaves no goroutine behind.
func TestTheGatewayStartsAndStops(t *testing.T) {
	a := start(t, "")
	require.Equal(t, http.StatusOK, post(t, a))
	status, body := get(t, a.Addrs().Control+"/readyz")
	require.Equal(t, http.StatusOK, status, body)
	_, body = get(t, a.Addrs().Control+"/metrics")
	require.Contains(t, body, `weir_requests_total{transport="http",verdict="admitted"} 1`)
	require.Contains(t, body, `weir_build_info{`)
	begin := time.Now()
	require.NoError(t, a.Stop(t.Context()))
	require.NoError(t, a.Stop(t.Context()))
	require.Less(t, time.Since(begin), 10*time.Second)
	_, err := net.Dial("tcp", strings.TrimPrefix(a.Addrs().HTTP, "http://"))
	require.Error(t, err)
}

// TestControlIsThereBeforeTheStore: while NATS does not answer, health and the
// runtime's metrics are to be had, and nothing of rooms that are not there yet.
func TestControlIsThereBeforeTheStore(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer silent.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	control := "http://" + free.Addr().String()
	require.NoError(t, free.Close())
	loaded, err := config.Parse("weir.yaml", fmt.Appendf(nil, `
transports: {http: {listen: "127.0.0.1:0"}, mqtt: {listen: "127.0.0.1:0"}, coap: {listen: "127.0.0.1:0"}}
control: {listen: %q}
nats: {url: "nats://%s"}`, strings.TrimPrefix(control, "http://"), silent.Addr()), nil)
	require.NoError(t, err)
	a, err := app.New(&app.Options{Config: loaded})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	started := make(chan error, 1)
	go func() { started <- a.Start(ctx) }()
	defer func() {
		cancel()
		require.Error(t, <-started)
	}()
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", free.Addr().String())
		if err == nil {
			conn.Close()
		}
		return err == nil
	}, 10*time.Second, time.Millisecond)
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 503, "/metrics": 200} {
		status, body := get(t, control+path)
		require.Equal(t, want, status, path)
		require.NotContains(t, body, "weir_devices")
	}
}

// TestScrapesDuringStart: each is answered, however far the start has come.
func TestScrapesDuringStart(t *testing.T) {
	loaded := load(t, "")
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	loaded.Config.Control.Listen = free.Addr().String()
	require.NoError(t, free.Close())
	a, err := app.New(&app.Options{Config: loaded})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var scrapes sync.WaitGroup
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	scrapes.Go(func() {
		for ctx.Err() == nil {
			resp, err := client.Get("http://" + loaded.Config.Control.Listen + "/metrics")
			if err != nil {
				assert.ErrorIs(t, err, syscall.ECONNREFUSED) // not yet
				continue
			}
			_, err = io.Copy(io.Discard, resp.Body)
			assert.NoError(t, errors.Join(err, resp.Body.Close()))
			assert.Equal(t, 200, resp.StatusCode)
		}
	})
	require.NoError(t, a.Start(t.Context()))
	status, body := get(t, a.Addrs().Control+"/metrics")
	require.Equal(t, 200, status)
	require.Contains(t, body, "\nweir_devices 0\n")
	cancel()
	scrapes.Wait()
	require.NoError(t, a.Stop(t.Context()))
}

// TestAFaultAtStartLeavesNothingOpen: the last listener's port is taken, and
// everything opened before it is closed again.
func TestAFaultAtStartLeavesNothingOpen(t *testing.T) {
	taken, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	httpAddr := free.Addr().String()
	require.NoError(t, free.Close())
	yaml := fmt.Sprintf(`
transports:
  http: {listen: %q}
  mqtt: {listen: off}
  coap: {listen: %q}
control: {listen: "127.0.0.1:0"}
nats: {embedded: {listen: "127.0.0.1:0", dir: %q}}`,
		httpAddr, taken.LocalAddr(), filepath.Join(t.TempDir(), "data"))
	loaded, err := config.Parse("weir.yaml", []byte(yaml), nil)
	require.NoError(t, err)
	a, err := app.New(&app.Options{Config: loaded})
	require.NoError(t, err)
	err = a.Start(t.Context())
	require.ErrorContains(t, err, "weir.yaml:5: transports.coap.listen: ")
	require.ErrorContains(t, err, taken.LocalAddr().String())
	require.NotContains(t, err.Error(), "\n", "one line")
	_, err = net.Dial("tcp", httpAddr)
	require.Error(t, err)
}

// TestEveryRoomsFaultsHavePlaces: what quota and hostlist refuse is told with
// the line that holds it, all at once.
func TestEveryRoomsFaultsHavePlaces(t *testing.T) {
	loaded, err := config.Parse("weir.yaml", []byte(`
quota:
  host:
    maxHosts: 100000000
    whitelist: "10.0.0.1, 10.0.0.300"
    blacklist:
      - good.example
      - "no good"
`), nil)
	require.NoError(t, err)
	_, err = app.New(&app.Options{Config: loaded})
	lines := strings.Split(err.Error(), "\n")
	require.Len(t, lines, 3)
	require.Contains(t, lines[0], "weir.yaml:4: quota.host.maxHosts: expected 1 to ")
	require.Contains(t, lines[1], `weir.yaml:5: quota.host.whitelist[1]: "10.0.0.300" `)
	require.Contains(t, lines[2], `weir.yaml:8: quota.host.blacklist[1]: "no good" `)
}

// TestLoadTellsAllFaultsAtOnce: those that config sees and those that only
// another room can, in the order of their lines and each key once.
func TestLoadTellsAllFaultsAtOnce(t *testing.T) {
	tests := []struct {
		name, yaml string
		want       []string
	}{
		{"none", "quota: {host: {limit: 5}}", nil},
		{"a room's alone", "quota: {host: {blacklist: 10.0.0.300}}", []string{":1: quota.host.blacklist[0]: "}},
		{"both", "quota:\n  host:\n    blacklist: 10.0.0.300\n    limit: many\n", []string{":3: quota.host.blacklist[0]: ", ":4: quota.host.limit: "}},
		{"one key that both refuse", "quota:\n  host:\n    intervalMs: 5\n    ttlMs: 1\n", []string{":4: quota.host.ttlMs: "}},
		{"a device", "devices:\n  list:\n    - device: pump\n      token: " + strings.Repeat("x", 600), []string{":4: devices.list[0].token: "}},
		{"no YAML", "quota: [", []string{"is not YAML"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "weir.yaml")
			require.NoError(t, os.WriteFile(path, []byte(tt.yaml), 0o600))
			loaded, err := app.Load(&config.Source{Path: path})
			if tt.want == nil {
				require.NoError(t, err)
				require.EqualValues(t, 5, loaded.Config.Quota.Host.Limit)
				return
			}
			require.Error(t, err)
			lines := strings.Split(err.Error(), "\n")
			require.Len(t, lines, len(tt.want), err.Error())
			for i, part := range tt.want {
				require.Contains(t, lines[i], part)
			}
		})
	}
}

// TestReload: new limits bite at once and count what was admitted before; a bad
// configuration changes nothing.
func TestReload(t *testing.T) {
	const quota = `quota: {host: {enabled: true, limit: %d, whitelist: "", intervalMs: 600000, ttlMs: 600000}}`
	a := start(t, fmt.Sprintf(quota, 100))
	for range 3 {
		require.Equal(t, 200, post(t, a))
	}
	reload := func(text string) error {
		return a.Reload(func() (*config.Loaded, error) { return config.Parse("weir.yaml", []byte(text), nil) })
	}
	require.Error(t, reload("quota: {host: {limit: none}}"))
	require.Error(t, reload("quota: {host: {blacklist: 10.0.0.300}}"))
	require.Equal(t, 200, post(t, a), "the old limits are in force")

	require.NoError(t, reload(fmt.Sprintf(quota, 4)))
	require.Equal(t, 509, post(t, a), "four were admitted before")
	require.NoError(t, reload(fmt.Sprintf(quota, 5)))
	require.Equal(t, 200, post(t, a))
	require.Equal(t, 509, post(t, a))

	_, body := get(t, a.Addrs().Control+"/metrics")
	require.Contains(t, body, `weir_config_reloads_total{result="ok"} 2`)
	require.Contains(t, body, `weir_config_reloads_total{result="failed"} 2`)
}

// TestReadyBlock: it names every listener that is on, what is limited, and a
// line that works.
func TestReadyBlock(t *testing.T) {
	a := start(t, "quota: {host: {enabled: true, limit: 7}}")
	block := a.Ready("weir.yaml")
	require.Contains(t, block, "\n  config   weir.yaml\n  quota    7 requests in 1m0s for each host\n")
	require.Contains(t, start(t, "").Ready(""), "\n  config   none, built-in defaults\n  quota    off, no host is limited\n")
	require.True(t, strings.HasPrefix(block, "weir ready\n  http     http://127.0.0.1:"), block)
	for _, part := range []string{"\n  mqtt     mqtt://", "\n  coap     coap://", "\n  control  http://", "\n  nats     nats://", "/api/v1/pump/telemetry\n", "weir.up.>"} {
		require.Contains(t, block, part)
	}
	require.NotContains(t, block, ":0\n")
}

// TestLongWindowsSurviveARestart: what a host was admitted in an hour's window
// counts on after a stop; a torn file begins without, and says so.
func TestLongWindowsSurviveARestart(t *testing.T) {
	loaded := load(t, `quota: {host: {enabled: true, limit: 3, whitelist: "", intervalMs: 3600000, ttlMs: 3600000}}`)
	run := func() (statuses []int, log string) {
		var lines bytes.Buffer
		a, err := app.New(&app.Options{Config: loaded, Log: slog.New(slog.NewTextHandler(&lines, nil))})
		require.NoError(t, err)
		require.NoError(t, a.Start(t.Context()))
		statuses = []int{post(t, a), post(t, a)}
		require.NoError(t, a.Stop(t.Context()))
		return statuses, lines.String()
	}
	statuses, _ := run()
	require.Equal(t, []int{200, 200}, statuses)
	statuses, _ = run()
	require.Equal(t, []int{200, 509}, statuses)

	file := filepath.Join(loaded.Config.NATS.Embedded.Dir, "counters")
	whole, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, whole[:len(whole)-1], 0o600))
	statuses, log := run()
	require.Equal(t, []int{200, 200}, statuses)
	require.Contains(t, log, "counters of the last run are not taken up")
}
