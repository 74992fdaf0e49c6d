package bus_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/weirgate/weir/bus"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// embeddedConfig is an embedded NATS on port 0 in a directory of the test's.
func embeddedConfig(t testing.TB) *bus.Config {
	return &bus.Config{
		Embedded: bus.EmbeddedConfig{Listen: "127.0.0.1:0", Dir: filepath.Join(t.TempDir(), "data")},
		Up:       bus.UpConfig{MaxBytes: 64 << 20},
		Log:      slog.New(slog.NewTextHandler(testWriter{t}, nil)),
	}
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	if testing.Verbose() {
		_, _ = os.Stderr.Write(p)
	}
	return len(p), nil
}

// openBus opens a Bus that the test closes.
func openBus(t testing.TB, cfg *bus.Config) *bus.Bus {
	b, err := bus.Open(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { closeBus(t, b) })
	return b
}

func closeBus(t testing.TB, b *bus.Bus) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	require.NoError(t, b.Close(ctx))
}

// connectTo connects a client to a NATS for the test.
func connectTo(t testing.TB, url string, opts ...nats.Option) *nats.Conn {
	nc, err := nats.Connect(url, opts...)
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return nc
}

// external is a nats-server with JetStream that is not weir's.
type external struct {
	t    testing.TB
	opts server.Options
	s    *server.Server
}

func startExternal(t testing.TB) *external {
	e := &external{t: t, opts: server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true,
	}}
	e.start()
	t.Cleanup(e.stop)
	return e
}

func (e *external) start() {
	s, err := server.NewServer(e.opts.Clone())
	require.NoError(e.t, err)
	s.Start()
	require.True(e.t, s.ReadyForConnections(patience))
	e.s = s
	_, e.opts.Port, _ = hostPort(s.ClientURL())
}

func (e *external) stop() {
	e.s.Shutdown()
	e.s.WaitForShutdown()
}

// outcomes collects completions.
type outcomes struct {
	mu   sync.Mutex
	errs map[uint64]error
	more chan struct{}
}

func newOutcomes() *outcomes {
	return &outcomes{errs: map[uint64]error{}, more: make(chan struct{}, 1<<20)}
}

func (o *outcomes) Complete(tag uint64, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, twice := o.errs[tag]; twice {
		panic("a message was completed twice")
	}
	o.errs[tag] = err
	o.more <- struct{}{}
}

// wait waits until n messages are answered and returns how.
func (o *outcomes) wait(t testing.TB, n int) map[uint64]error {
	timeout := time.After(patience)
	for {
		o.mu.Lock()
		if len(o.errs) >= n {
			defer o.mu.Unlock()
			copied := make(map[uint64]error, n)
			for tag, err := range o.errs {
				copied[tag] = err
			}
			return copied
		}
		have := len(o.errs)
		o.mu.Unlock()
		select {
		case <-o.more:
		case <-timeout:
			t.Fatalf("%d of %d messages answered", have, n)
		}
	}
}

// record is a message of a device.
func record(device, payload string) *bus.Record {
	return &bus.Record{
		Account: "default", Device: device, Kind: "telemetry", Transport: "http", Host: "192.0.2.1",
		ContentType: "application/json", Received: time.Date(2026, 11, 23, 7, 33, 55, 123e6, time.UTC),
		Payload: []byte(payload),
	}
}

// all is every message of a stream, in order.
func all(t testing.TB, nc *nats.Conn, stream string) []*jetstream.RawStreamMsg {
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	s, err := js.Stream(t.Context(), stream)
	require.NoError(t, err)
	state := s.CachedInfo().State
	var msgs []*jetstream.RawStreamMsg
	for seq := state.FirstSeq; seq <= state.LastSeq; seq++ {
		m, err := s.GetMsg(t.Context(), seq)
		require.NoError(t, err)
		msgs = append(msgs, m)
	}
	return msgs
}
