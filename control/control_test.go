package control_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/weirgate/weir/control"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve runs a Server until the test ends.
func serve(t *testing.T, cfg control.Config) *control.Server {
	t.Helper()
	cfg.Address = "127.0.0.1:0"
	s := control.New(&cfg)
	require.NoError(t, s.Listen(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- s.Serve() }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, s.Shutdown(ctx))
		require.NoError(t, <-ended)
	})
	return s
}

// ask sends one request over a connection of its own.
func ask(t *testing.T, s *control.Server, method, path string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.Addr().String()+path, nil)
	require.NoError(t, err)
	r.Close = true
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(body)
}

func TestHealthAndReadiness(t *testing.T) {
	var faults []error
	s := serve(t, control.Config{Ready: func(ctx context.Context) []error {
		if _, bounded := ctx.Deadline(); !bounded {
			return []error{errors.New("unbounded")}
		}
		return faults
	}})
	check := func(path string, status int, body string) {
		t.Helper()
		resp, got := ask(t, s, http.MethodGet, path)
		require.Equal(t, status, resp.StatusCode)
		require.Equal(t, body, got)
	}
	check("/healthz", 200, "ok\n")
	check("/readyz", 503, "starting\n")
	s.SetReady()
	check("/readyz", 200, "ready\n")
	faults = []error{errors.New("nats: away"), errors.Join(errors.New("lists:"), errors.New("loading"))}
	check("/readyz", 503, "nats: away\nlists: loading\n")
	check("/healthz", 200, "ok\n")
	faults = nil
	s.SetStopping()
	s.SetReady() // too late
	check("/readyz", 503, "stopping\n")
	check("/healthz", 200, "ok\n")
}

func TestReadyByDefault(t *testing.T) {
	s := serve(t, control.Config{})
	s.SetReady()
	resp, _ := ask(t, s, http.MethodGet, "/readyz")
	require.Equal(t, 200, resp.StatusCode)
}

func TestPathsAndMethods(t *testing.T) {
	s := serve(t, control.Config{})
	for _, tt := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/", 404}, {"POST", "/healthz", 405}, {"HEAD", "/healthz", 200}, {"DELETE", "/metrics", 405},
	} {
		resp, _ := ask(t, s, tt.method, tt.path)
		require.Equal(t, tt.status, resp.StatusCode, tt.method+" "+tt.path)
	}
}

func snapshot() control.Snapshot {
	return control.Snapshot{
		Requests:        []control.RequestCount{{Transport: "http", Verdict: "refused", Count: 3}, {Transport: "coap", Verdict: "admitted", Count: 4}},
		Connections:     map[string]int{"http": 2, "mqtt": 5},
		TurnedAway:      []control.TurnedAwayCount{{Transport: "http", Reason: "host", Count: 6}},
		Malformed:       map[string]uint64{"coap": 7},
		Panics:          map[string]uint64{"mqtt": 8},
		QuotaHosts:      9,
		QuotaSpells:     10,
		QuotaEvictions:  11,
		StoreSeconds:    control.Histogram{Bounds: []float64{0.01, 0.1}, Counts: []uint64{3, 2, 1}, Sum: 1.5},
		UplinkQueue:     12,
		UplinkCommitted: 13,
		UplinkRefused:   14,
		UplinkDead:      15,
		EventsDropped:   16,
		ReloadsOK:       17,
		ReloadsFailed:   18,
		LastReload:      time.UnixMilli(1_800_000_000_500),
		HostlistEntries: map[string]int{"allow": 19, "deny": 20},
		HostlistFailed:  21,
		Devices:         22,
	}
}

func TestMetrics(t *testing.T) {
	var collected atomic.Int64
	s := serve(t, control.Config{
		Collect: func() control.Snapshot { collected.Add(1); return snapshot() },
		Build:   control.Build{Version: "1.0", Revision: "abc", Go: "go1"},
	})
	_, early := ask(t, s, http.MethodGet, "/metrics")
	require.Contains(t, early, "\nweir_build_info{")
	require.Contains(t, early, "\ngo_goroutines ")
	require.NotContains(t, early, "weir_devices")
	require.Zero(t, collected.Load(), "what is asked is not there yet")
	s.SetReady()
	resp, body := ask(t, s, http.MethodGet, "/metrics")
	require.Equal(t, 200, resp.StatusCode)
	for _, line := range []string{
		`weir_build_info{goversion="go1",revision="abc",version="1.0"} 1`,
		`weir_requests_total{transport="http",verdict="refused"} 3`,
		`weir_requests_total{transport="coap",verdict="admitted"} 4`,
		`weir_connections{transport="mqtt"} 5`,
		`weir_connections_refused_total{reason="host",transport="http"} 6`,
		`weir_malformed_total{transport="coap"} 7`,
		`weir_panics_total{transport="mqtt"} 8`,
		`weir_quota_hosts 9`,
		`weir_quota_spells 10`,
		`weir_quota_evictions_total 11`,
		`weir_store_seconds_bucket{le="0.01"} 3`,
		`weir_store_seconds_bucket{le="0.1"} 5`,
		`weir_store_seconds_bucket{le="+Inf"} 6`,
		`weir_store_seconds_sum 1.5`,
		`weir_store_seconds_count 6`,
		`weir_uplink_queue 12`,
		`weir_uplink_committed_total 13`,
		`weir_uplink_refused_total 14`,
		`weir_uplink_dead_total 15`,
		`weir_events_dropped_total 16`,
		`weir_config_reloads_total{result="ok"} 17`,
		`weir_config_reloads_total{result="failed"} 18`,
		`weir_config_last_success_timestamp_seconds 1.8000000005e+09`,
		`weir_hostlist_entries{list="allow"} 19`,
		`weir_hostlist_entries{list="deny"} 20`,
		`weir_hostlist_failed_names 21`,
		`weir_devices 22`,
	} {
		require.Contains(t, body, "\n"+line+"\n")
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(body))
	require.NoError(t, err)
	require.Contains(t, families, "go_goroutines")
	for name, f := range families {
		if !strings.HasPrefix(name, "weir_") {
			continue
		}
		require.NotEmpty(t, f.GetHelp(), name)
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				require.Contains(t, []string{"transport", "verdict", "reason", "result", "list", "version", "revision", "goversion"}, l.GetName())
			}
		}
	}
}

func TestMetricsOfABadSnapshot(t *testing.T) {
	s := serve(t, control.Config{Collect: func() control.Snapshot {
		return control.Snapshot{
			Requests: []control.RequestCount{{Transport: "\xff", Verdict: "x"}, {Transport: "http", Verdict: "x"}, {Transport: "http", Verdict: "x"}},
			Devices:  1,
		}
	}})
	s.SetReady()
	resp, body := ask(t, s, http.MethodGet, "/metrics")
	require.Equal(t, 200, resp.StatusCode)
	require.Contains(t, body, "\nweir_devices 1\n")
	require.Contains(t, body, "\nweir_config_last_success_timestamp_seconds 0\n")
	s.SetStopping()
	_, body = ask(t, s, http.MethodGet, "/metrics")
	require.Contains(t, body, "\nweir_devices 1\n", "to the last")

	bare := serve(t, control.Config{})
	bare.SetReady()
	resp, body = ask(t, bare, http.MethodGet, "/metrics")
	require.Equal(t, 200, resp.StatusCode)
	require.NotContains(t, body, "weir_devices")
}

func TestLifetime(t *testing.T) {
	s := control.New(&control.Config{Address: "127.0.0.1:0"})
	require.Nil(t, s.Addr())
	require.ErrorContains(t, s.Serve(), "Listen")
	require.NoError(t, s.Listen(t.Context()))
	other := control.New(&control.Config{Address: s.Addr().String()})
	require.ErrorContains(t, other.Listen(t.Context()), s.Addr().String()+": address already in use")
	require.NoError(t, s.Shutdown(t.Context()), "before Serve")
	require.NoError(t, s.Serve())
	_, err := net.Dial("tcp", s.Addr().String())
	require.Error(t, err)

	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	given := control.New(&control.Config{Listener: ln})
	require.NoError(t, given.Listen(t.Context()))
	require.Equal(t, ln.Addr(), given.Addr())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, given.Shutdown(ctx))
	require.NoError(t, given.Serve())
}

// TestAStopThatNeverStarted: what failed to start has no figures.
func TestAStopThatNeverStarted(t *testing.T) {
	s := serve(t, control.Config{Collect: snapshot})
	s.SetStopping()
	s.SetReady()
	_, body := ask(t, s, http.MethodGet, "/metrics")
	require.NotContains(t, body, "weir_devices")
}

// TestShutdownWaitsForNobody: a client that says nothing, or half a request, is
// closed, and is no fault.
func TestShutdownWaitsForNobody(t *testing.T) {
	s := control.New(&control.Config{Address: "127.0.0.1:0"})
	require.NoError(t, s.Listen(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- s.Serve() }()
	for _, said := range []string{"", "GET /healthz HT"} {
		c, err := net.Dial("tcp", s.Addr().String())
		require.NoError(t, err)
		defer func() { _ = c.Close() }()
		_, err = io.WriteString(c, said)
		require.NoError(t, err)
	}
	resp, _ := ask(t, s, http.MethodGet, "/healthz") // accepted after them
	require.Equal(t, 200, resp.StatusCode)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	require.NoError(t, s.Shutdown(ctx))
	require.NoError(t, <-ended)
}

// TestAHostShutsOutNobodyElse: half requests of one host leave room for others.
func TestAHostShutsOutNobodyElse(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Skip("this system has one loopback address only")
	}
	require.NoError(t, other.Close())
	s := serve(t, control.Config{})
	for range 300 {
		c, err := net.Dial("tcp", s.Addr().String())
		require.NoError(t, err)
		defer func() { _ = c.Close() }()
		_, _ = io.WriteString(c, "GET /healthz HT") // it may be closed by now
	}
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	c, err := dialer.DialContext(t.Context(), "tcp", s.Addr().String()) // accepted after them
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	_, err = io.WriteString(c, "GET /healthz HTTP/1.0\r\n\r\n")
	require.NoError(t, err)
	got, err := io.ReadAll(c)
	require.NoError(t, err)
	require.Contains(t, string(got), "200 OK")
}
