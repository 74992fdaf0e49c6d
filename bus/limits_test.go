package bus_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/bus"
)

// TestForgedAnswers asks JetStream to answer where others take the answer for a
// device's message or an event.
func TestForgedAnswers(t *testing.T) {
	b := openWithBucket(t, embeddedConfig(t))
	nc, _ := errorsOf(t, b.ClientURL())
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	_, err = js.CreateConsumer(t.Context(), "WEIR_UP", jetstream.ConsumerConfig{Durable: "c"})
	require.NoError(t, err)
	watcher := connectTo(t, b.ClientURL())
	heard, err := watcher.SubscribeSync("weir.>")
	require.NoError(t, err)
	require.NoError(t, watcher.Flush())

	for _, ask := range []struct{ subject, body string }{
		{"$JS.API.INFO", ""},
		{"$JS.API.STREAM.INFO.WEIR_UP", ""},
		{"$JS.API.STREAM.MSG.GET.WEIR_UP", `{"seq":1}`},
		{"$JS.API.DIRECT.GET.WEIR_UP", `{"seq":1}`},
		{"$JS.API.DIRECT.GET.WEIR_UP.weir.up.default.d.telemetry", ""},
		{"$JS.API.CONSUMER.CREATE.WEIR_UP", "{"},
		{"$JS.API.CONSUMER.MSG.NEXT.WEIR_UP.c", ""},
	} {
		t.Run(ask.subject, func(t *testing.T) {
			for _, target := range []string{"weir.up.default.victim.telemetry", "weir.events.banned", "weir.down.default.d.rpc", "weir.>"} {
				require.NoError(t, nc.PublishRequest(ask.subject, target, []byte(ask.body)))
			}
			// Requests on one subject are taken in order: once this is answered, so were those.
			_, err := nc.Request(ask.subject, []byte(ask.body), patience)
			require.NoError(t, err)
			require.NoError(t, watcher.Flush())
			n, _, err := heard.Pending()
			require.NoError(t, err)
			require.Zero(t, n)
		})
	}
}

func TestConsumersAreBounded(t *testing.T) {
	b := openWithBucket(t, embeddedConfig(t))
	nc := connectTo(t, b.ClientURL())
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	tests := []struct {
		name        string
		config      jetstream.ConsumerConfig
		idle        time.Duration
		ackPending  int
		wantWaiting int
	}{
		{"durable", jetstream.ConsumerConfig{Durable: "a"}, 24 * time.Hour, 1000, 512},
		{"durable for ever", jetstream.ConsumerConfig{Durable: "b", InactiveThreshold: 1e6 * time.Hour}, 24 * time.Hour, 1000, 512},
		{"durable for a minute", jetstream.ConsumerConfig{Durable: "c", InactiveThreshold: time.Minute}, time.Minute, 1000, 512},
		{"ephemeral for ever", jetstream.ConsumerConfig{InactiveThreshold: 1e6 * time.Hour}, 5 * time.Minute, 1000, 512},
		{"greedy", jetstream.ConsumerConfig{Durable: "e", MaxAckPending: -1, MaxWaiting: 1e6}, 24 * time.Hour, 65536, 512},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.config.AckPolicy = jetstream.AckExplicitPolicy
			c, err := js.CreateConsumer(t.Context(), "WEIR_UP", tt.config)
			require.NoError(t, err)
			got := c.CachedInfo().Config
			require.Equal(t, tt.idle, got.InactiveThreshold)
			require.Equal(t, tt.ackPending, got.MaxAckPending)
			require.Equal(t, tt.wantWaiting, got.MaxWaiting)
		})
	}
	t.Run("a large request", func(t *testing.T) {
		_, err := js.CreateConsumer(t.Context(), "WEIR_UP", jetstream.ConsumerConfig{Durable: "f", Description: strings.Repeat("x", 17<<10)})
		require.ErrorContains(t, err, "16 KiB")
	})
	t.Run("many", func(t *testing.T) {
		for i := range 2 * bus.MaxConsumers {
			body := fmt.Sprintf(`{"stream_name":"WEIR_DEAD","config":{"durable_name":"m%d","ack_policy":"none","direct":true}}`, i)
			_, err := nc.Request(fmt.Sprintf("$JS.API.CONSUMER.DURABLE.CREATE.WEIR_DEAD.m%d", i), []byte(body), patience)
			require.NoError(t, err)
		}
		s, err := js.Stream(t.Context(), "WEIR_DEAD")
		require.NoError(t, err)
		require.Equal(t, bus.MaxConsumers, s.CachedInfo().State.Consumers)
		_, err = js.CreateConsumer(t.Context(), "WEIR_EVENTS", jetstream.ConsumerConfig{Durable: "other"})
		require.NoError(t, err, "another stream's are not taken")
	})
}

func TestClientsAreBounded(t *testing.T) {
	b := openBus(t, embeddedConfig(t))
	nc, complaints := errorsOf(t, b.ClientURL())
	t.Run("subscriptions", func(t *testing.T) {
		for range bus.MaxSubscriptions + 1 {
			_, err := nc.SubscribeSync("weir.>")
			require.NoError(t, err)
		}
		require.ErrorIs(t, await(t, complaints), nats.ErrMaxSubscriptionsExceeded)
	})
	t.Run("connections", func(t *testing.T) {
		nc.Close()
		var err error
		for range bus.MaxClients + 1 {
			var c *nats.Conn
			if c, err = nats.Connect(b.ClientURL(), nats.NoReconnect()); err != nil {
				break
			}
			defer c.Close()
		}
		require.Error(t, err)
		o := newOutcomes()
		require.NoError(t, b.Submit(record("d", `{}`), o, 1))
		require.NoError(t, o.wait(t, 1)[1])
	})
}

// TestNobodyWaitsForASlowReader stores more than is kept for clients that read
// nothing: they lose it, and all of it is stored.
func TestNobodyWaitsForASlowReader(t *testing.T) {
	b := openBus(t, embeddedConfig(t))
	for range 4 {
		c, err := net.Dial("tcp", strings.TrimPrefix(b.ClientURL(), "nats://"))
		require.NoError(t, err)
		defer c.Close()
		_, err = io.WriteString(c, "CONNECT {\"verbose\":false}\r\nSUB weir.> 1\r\nPING\r\n")
		require.NoError(t, err)
		for r := bufio.NewReader(c); ; {
			line, err := r.ReadString('\n')
			require.NoError(t, err)
			if strings.HasPrefix(line, "PONG") {
				break
			}
		}
	}
	o, payload := newOutcomes(), strings.Repeat("x", 512<<10)
	const n = 100 // 50 MiB, of which the sockets take some
	for i := range n {
		require.NoError(t, b.Submit(record("d", payload), o, uint64(i)))
	}
	for _, err := range o.wait(t, n) {
		require.NoError(t, err)
	}
	require.NoError(t, b.Ready())
	require.Zero(t, b.Stalls(), "nobody waited for them")
}

// TestUnpromisedLeavesRoom fills the queue, while the store is away, with
// messages that nobody waits for.
func TestUnpromisedLeavesRoom(t *testing.T) {
	for _, tt := range []struct {
		name              string
		limit, limitBytes int
	}{
		{"messages", 50, 0},
		{"bytes", 0, 100_000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := startExternal(t)
			b := openBus(t, &bus.Config{URL: e.s.ClientURL(), Timeout: 2 * time.Second, Limit: tt.limit, LimitBytes: tt.limitBytes})
			e.stop()
			require.Eventually(t, func() bool { return b.Ready() != nil }, patience, time.Millisecond)
			o := newOutcomes()
			require.NoError(t, b.Submit(record("d", "{}"), o, 0)) // the committer takes one
			require.Eventually(t, func() bool { return b.Stats().Queued == 0 }, patience, time.Millisecond)
			fill := func(unpromised bool, tag uint64) (n uint64) {
				for r := record("d", strings.Repeat("x", 1000)); ; n++ {
					r.Unpromised = unpromised
					if err := b.Submit(r, o, tag+n); err != nil {
						require.ErrorIs(t, err, bus.ErrFull)
						return n
					}
				}
			}
			flood := fill(true, 1)
			promised := fill(false, 1+flood)
			require.NotZero(t, flood)
			require.InDelta(t, flood, promised, 1)
			o.wait(t, int(1+flood+promised))
		})
	}
}
