package bus_test

import (
	"bytes"
	"context"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/bus"
)

func TestCall(t *testing.T) {
	b := openBus(t, embeddedConfig(t))
	service := connectTo(t, b.ClientURL())
	_, err := service.Subscribe("weir.call.default.*.attributes", func(m *nats.Msg) {
		_ = m.Respond(append([]byte("answer to "), m.Data...))
	})
	require.NoError(t, err)
	_, err = service.Subscribe("weir.call.default.*.mute", func(*nats.Msg) {})
	require.NoError(t, err)
	require.NoError(t, service.Flush())
	tests := []struct {
		name, device, call string
		want               string
		err                error
	}{
		{"answered", "d", "attributes", "answer to q", nil},
		{"a device of wildcards", "*", "attributes", "answer to q", nil},
		{"nobody listens", "d", "rpc", "", bus.ErrNoService},
		{"nobody answers", "d", "mute", "", bus.ErrTimeout},
		{"a name too long", strings.Repeat("d", 600), "rpc", "", bus.ErrSubject},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			if tt.err == bus.ErrTimeout {
				ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
			}
			defer cancel()
			got, err := b.Call(ctx, "default", tt.device, tt.call, []byte("q"))
			require.ErrorIs(t, err, tt.err)
			require.Equal(t, tt.want, string(got))
		})
	}
	_, err = b.Call(t.Context(), "default", "d", "rpc", make([]byte, 2<<20))
	require.ErrorIs(t, err, bus.ErrTooLarge)
}

func TestBury(t *testing.T) {
	b := openBus(t, embeddedConfig(t))
	o := newOutcomes()
	require.NoError(t, b.Bury(record("d.1", "{"), "expected\r\na JSON object", o, 1))
	require.NoError(t, b.Bury(record("d.1", "["), strings.Repeat("r", 5000), o, 2))
	for _, err := range o.wait(t, 2) {
		require.NoError(t, err)
	}
	msgs := all(t, b.Conn(), bus.StreamDead)
	require.Len(t, msgs, 2)
	require.Equal(t, "weir.dead.default.d%2E1", msgs[0].Subject)
	require.Equal(t, "expected%0D%0Aa JSON object", msgs[0].Header.Get("Weir-Reason"))
	require.Equal(t, "d.1", msgs[0].Header.Get("Weir-Device"))
	require.Equal(t, "{", string(msgs[0].Data))
	require.Len(t, msgs[1].Header.Get("Weir-Reason"), 1024)
	require.Equal(t, uint64(2), b.Stats().Buried)
	require.ErrorIs(t, b.Bury(record(strings.Repeat("d", 600), "{"), "x", o, 3), bus.ErrSubject)
}

func TestRefusedAtOnce(t *testing.T) {
	b := openBus(t, embeddedConfig(t))
	huge := record("d", strings.Repeat("x", 2<<20))
	require.ErrorIs(t, b.Submit(huge, nil, 0), bus.ErrTooLarge)
	headers := record("d", "x")
	headers.ContentType = strings.Repeat("x", 1<<16)
	require.ErrorIs(t, b.Submit(headers, nil, 0), bus.ErrTooLarge)
	require.ErrorIs(t, b.Submit(record(strings.Repeat("d", 600), "x"), nil, 0), bus.ErrSubject)
	require.Equal(t, uint64(3), b.Stats().Refused)
}

func TestEvents(t *testing.T) {
	b := openBus(t, embeddedConfig(t))
	const n = 300
	for i := range n {
		event := []byte(strconv.Itoa(i))
		b.PublishEvent("exceeded", event)
		clear(event)
	}
	require.Eventually(t, func() bool { return b.Stats().Published == n }, patience, time.Millisecond)
	msgs := all(t, b.Conn(), "WEIR_EVENTS")
	require.Len(t, msgs, n)
	for i, m := range msgs {
		require.Equal(t, strconv.Itoa(i), string(m.Data))
		require.Equal(t, "weir.events.exceeded", m.Subject)
		require.Equal(t, "application/cloudevents+json", m.Header.Get("content-type"))
	}
}

// TestEventsBounded publishes more events than may wait: some are dropped, all
// are counted, and nothing blocks.
func TestEventsBounded(t *testing.T) {
	b, err := bus.Open(t.Context(), embeddedConfig(t))
	require.NoError(t, err)
	const n = 4 * bus.MaxEvents
	for range n {
		b.PublishEvent("exceeded", []byte("{}"))
	}
	closeBus(t, b)
	b.PublishEvent("exceeded", []byte("{}"))
	s := b.Stats()
	require.Equal(t, uint64(n+1), s.Published+s.Dropped)
	require.GreaterOrEqual(t, s.Published, uint64(bus.MaxEvents))
	require.GreaterOrEqual(t, s.Dropped, uint64(1))
}

// TestClose answers what waits, flushes the events, and refuses what comes later.
func TestClose(t *testing.T) {
	cfg := embeddedConfig(t)
	b, err := bus.Open(t.Context(), cfg)
	require.NoError(t, err)
	o := newOutcomes()
	for i := range 3000 {
		require.NoError(t, b.Submit(record("d", "x"), o, uint64(i)))
	}
	b.PublishEvent("disconnected", []byte("{}"))
	closeBus(t, b)
	for _, err := range o.wait(t, 3000) {
		require.NoError(t, err)
	}
	require.Equal(t, uint64(1), b.Stats().Published)
	require.ErrorIs(t, b.Submit(record("d", "x"), o, 4000), bus.ErrClosed)
	require.ErrorIs(t, b.Ready(), bus.ErrClosed)
	closeBus(t, b)
	again := openBus(t, cfg)
	require.Len(t, all(t, again.Conn(), bus.StreamUp), 3000)
}

// TestCloseIsBounded closes while NATS is away and the context is over.
func TestCloseIsBounded(t *testing.T) {
	e := startExternal(t)
	b, err := bus.Open(t.Context(), &bus.Config{URL: e.s.ClientURL()})
	require.NoError(t, err)
	e.stop()
	require.Eventually(t, func() bool { return b.Ready() != nil }, patience, time.Millisecond)
	o := newOutcomes()
	require.NoError(t, b.Submit(record("d", "x"), o, 1))
	b.PublishEvent("x", nil)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, b.Close(over))
	require.ErrorIs(t, o.wait(t, 1)[1], bus.ErrClosed)
	require.Equal(t, uint64(1), b.Stats().Dropped)
}

// TestSwept is told after the completions of a batch, not in their midst.
func TestSwept(t *testing.T) {
	var mu sync.Mutex
	var answered, swept, sweeps int
	cfg := embeddedConfig(t)
	cfg.Swept = func() {
		mu.Lock()
		defer mu.Unlock()
		swept, sweeps = answered, sweeps+1
	}
	b := openBus(t, cfg)
	c := completerFunc(func(uint64, error) {
		mu.Lock()
		defer mu.Unlock()
		answered++
	})
	const n = 2000
	for i := range n {
		require.NoError(t, b.Submit(record("d", "x"), c, uint64(i)))
	}
	require.Eventually(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return swept == n
	}, patience, time.Millisecond)
	require.Less(t, sweeps, n/10)
	s := b.Stats()
	total := uint64(0)
	for _, c := range s.StoreSeconds {
		total += c
	}
	require.Equal(t, uint64(n), total)
	require.Positive(t, s.StoreSum)
	require.Positive(t, s.Batches)
	require.Zero(t, s.Queued)
}

type completerFunc func(uint64, error)

func (f completerFunc) Complete(tag uint64, err error) { f(tag, err) }

// TestEmbeddedTLS has users and TLS, as off loopback: the gateway itself needs neither.
func TestEmbeddedTLS(t *testing.T) {
	cfg := embeddedConfig(t)
	cfg.Embedded.Users = []bus.User{{Name: "u", Password: "p"}}
	cfg.Embedded.TLSCert, cfg.Embedded.TLSKey = certificate(t)
	b := openBus(t, cfg)
	require.True(t, strings.HasPrefix(b.ClientURL(), "tls://127.0.0.1:"))
	for _, err := range submitAll(t, b, 50, func(int, *bus.Record) {}) {
		require.NoError(t, err)
	}
	nc := connectTo(t, b.ClientURL(), nats.RootCAs(cfg.Embedded.TLSCert), nats.UserInfo("u", "p"))
	require.Len(t, all(t, nc, bus.StreamUp), 50)
	_, err := nats.Connect(b.ClientURL(), nats.RootCAs(cfg.Embedded.TLSCert), nats.UserInfo("u", "wrong"))
	require.ErrorIs(t, err, nats.ErrAuthorization)
}

// TestStreams are made with the limits, changed to new ones, and left alone if
// they are not weir's.
func TestStreams(t *testing.T) {
	e := startExternal(t)
	nc := connectTo(t, e.s.ClientURL())
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "WEIR_UP", Subjects: []string{"weir.up.>"}, Metadata: map[string]string{"owner": "ops"},
	})
	require.NoError(t, err)
	cfg := &bus.Config{URL: e.s.ClientURL(), Up: bus.UpConfig{MaxAge: time.Hour, MaxBytes: 1 << 20, WhenFull: bus.Refuse}}
	b := openBus(t, cfg)
	require.Equal(t, e.s.ClientURL(), b.ClientURL())
	require.Zero(t, b.FsyncCost())
	s, err := js.Stream(t.Context(), "WEIR_UP")
	require.NoError(t, err)
	got := s.CachedInfo().Config
	require.Equal(t, time.Hour, got.MaxAge)
	require.Equal(t, int64(1<<20), got.MaxBytes)
	require.Equal(t, jetstream.DiscardNew, got.Discard)
	require.True(t, got.AllowAtomicPublish)
	require.Equal(t, "ops", got.Metadata["owner"])
	for _, err := range submitAll(t, b, 200, func(int, *bus.Record) {}) {
		require.NoError(t, err)
	}

	tests := []struct {
		name, stream string
		subjects     []string
		want         string
	}{
		{"foreign subjects", "WEIR_DEAD", []string{"weir.dead.>", "other"}, "WEIR_DEAD keeps other subjects"},
		{"overlap", "MINE", []string{"weir.events.exceeded"}, "WEIR_EVENTS: another stream"},
	}
	closeBus(t, b)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, name := range []string{"WEIR_DEAD", "WEIR_EVENTS"} {
				require.NoError(t, js.DeleteStream(t.Context(), name))
			}
			_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: tt.stream, Subjects: tt.subjects})
			require.NoError(t, err)
			_, err = bus.Open(t.Context(), cfg)
			require.ErrorContains(t, err, strings.ReplaceAll(tt.want, "WEIR_DEAD keeps", "WEIR_DEAD: keeps"))
			require.NoError(t, js.DeleteStream(t.Context(), tt.stream))
			closeBus(t, openBus(t, cfg))
		})
	}
}

func TestNoJetStream(t *testing.T) {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true})
	require.NoError(t, err)
	s.Start()
	require.True(t, s.ReadyForConnections(patience))
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	_, err = bus.Open(t.Context(), &bus.Config{URL: s.ClientURL()})
	require.ErrorContains(t, err, "no JetStream")
}

// TestStrangersDoNotFillTheLog has a client break every rule many times.
func TestStrangersDoNotFillTheLog(t *testing.T) {
	var log lockedBuffer
	cfg := embeddedConfig(t)
	cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	b := openBus(t, cfg)
	before := log.String()
	nc, complaints := errorsOf(t, b.ClientURL())
	for range 50 {
		require.NoError(t, nc.Publish("weir.up.x.y.z", nil))
		require.NoError(t, nc.Flush())
		await(t, complaints)
	}
	_, err := nats.Connect(b.ClientURL(), nats.UserInfo("x", "y"))
	require.Error(t, err)
	require.Equal(t, before, log.String())
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
