package bus_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/bus"
)

// openWithBucket is an embedded bus with a key-value bucket and a stored
// message, as the gateway has them.
func openWithBucket(t *testing.T, cfg *bus.Config) *bus.Bus {
	b := openBus(t, cfg)
	js, err := jetstream.New(b.Conn())
	require.NoError(t, err)
	kv, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "lists"})
	require.NoError(t, err)
	_, err = kv.Put(t.Context(), "allow", []byte("secret"))
	require.NoError(t, err)
	o := newOutcomes()
	require.NoError(t, b.Submit(record("d", `{"t":1}`), o, 1))
	require.NoError(t, b.Bury(record("d", `{`), "expected JSON", o, 2))
	for _, err := range o.wait(t, 2) {
		require.NoError(t, err)
	}
	b.PublishEvent("offenders", []byte(`{}`))
	require.Eventually(t, func() bool { return b.Stats().Published == 1 }, patience, time.Millisecond)
	return b
}

// counts is how many messages each stream of the gateway holds.
func counts(t *testing.T, b *bus.Bus) map[string]uint64 {
	js, err := jetstream.New(b.Conn())
	require.NoError(t, err)
	got := map[string]uint64{}
	for _, name := range []string{"WEIR_UP", "WEIR_DEAD", "WEIR_EVENTS", "KV_lists"} {
		s, err := js.Stream(t.Context(), name)
		require.NoError(t, err)
		got[name] = s.CachedInfo().State.Msgs
	}
	return got
}

// errorsOf connects a client that keeps the server's complaints.
func errorsOf(t *testing.T, url string, opts ...nats.Option) (*nats.Conn, chan error) {
	complaints := make(chan error, 100)
	opts = append(opts, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { complaints <- err }))
	return connectTo(t, url, opts...), complaints
}

func TestSubscriberPublishes(t *testing.T) {
	tests := []struct {
		subject string
		allowed bool
	}{
		{"weir.down.default.d.rpc", true},
		{"weir.down.default.d.attributes", true},
		{"weir.call.default.d.rpc", true},
		{"_INBOX.abc.def", true},
		{"$JS.API.INFO", true},
		{"$JS.API.STREAM.NAMES", true},
		{"$JS.API.STREAM.LIST", true},
		{"$JS.API.STREAM.INFO.WEIR_UP", true},
		{"$JS.API.STREAM.MSG.GET.WEIR_DEAD", true},
		{"$JS.API.DIRECT.GET.WEIR_UP", true},
		{"$JS.API.DIRECT.GET.WEIR_UP.weir.up.default.d.telemetry", true},
		{"$JS.API.CONSUMER.CREATE.WEIR_EVENTS.c", true},
		{"$JS.API.CONSUMER.MSG.NEXT.WEIR_UP.c", true},
		{"$JS.ACK.WEIR_UP.c.1.1.1.1.1", true},

		{"weir.up.default.d.telemetry", false},
		{"weir.up", false},
		{"weir.events.offenders", false},
		{"weir.dead.default.d", false},
		{"weir.anything", false},
		{"$KV.lists.allow", false},
		{"$JS.API.STREAM.INFO.KV_lists", false},
		{"$JS.API.STREAM.MSG.GET.KV_lists", false},
		{"$JS.API.DIRECT.GET.KV_lists.$KV.lists.allow", false},
		{"$JS.API.CONSUMER.CREATE.KV_lists.c", false},
		{"$JS.API.CONSUMER.CREATE.KV_lists", false},
		{"$JS.API.CONSUMER.MSG.NEXT.KV_lists.c", false},
		{"$JS.API.STREAM.CREATE.EVIL", false},
		{"$JS.API.STREAM.UPDATE.WEIR_UP", false},
		{"$JS.API.STREAM.DELETE.WEIR_UP", false},
		{"$JS.API.STREAM.PURGE.WEIR_UP", false},
		{"$JS.API.STREAM.MSG.DELETE.WEIR_UP", false},
		{"$JS.API.STREAM.SNAPSHOT.WEIR_UP", false},
		{"$JS.API.STREAM.RESTORE.EVIL", false},
		{"$JS.API.CONSUMER.PAUSE.WEIR_UP.c", false},
		{"$JS.API.ACCOUNT.PURGE.WEIR", false},
		{"$SYS.REQ.SERVER.PING", false},
		{"_WEIR.API.CONSUMER.CREATE.KV_lists.c", false}, // where requests end up
		{"_WEIR.API.STREAM.DELETE.WEIR_UP", false},
		{"_WEIR.IN.x", false},
		{"anything", false},
	}
	for _, users := range [][]bus.User{nil, {{Name: "grafana", Password: "pw"}}} {
		t.Run(fmt.Sprintf("%d users", len(users)), func(t *testing.T) {
			cfg := embeddedConfig(t)
			cfg.Embedded.Users = users
			b := openWithBucket(t, cfg)
			var opts []nats.Option
			if users != nil {
				opts = append(opts, nats.UserInfo("grafana", "pw"))
				_, err := nats.Connect(b.ClientURL())
				require.ErrorIs(t, err, nats.ErrAuthorization, "nobody comes in without a password")
			}
			nc, complaints := errorsOf(t, b.ClientURL(), opts...)
			before := counts(t, b)
			for _, tt := range tests {
				t.Run(tt.subject, func(t *testing.T) {
					require.NoError(t, nc.Publish(tt.subject, nil))
					require.NoError(t, nc.Flush())
					if tt.allowed {
						require.Empty(t, complaints)
						return
					}
					require.ErrorIs(t, await(t, complaints), nats.ErrPermissionViolation)
				})
			}
			require.Equal(t, before, counts(t, b), "and nothing was stored or lost")
		})
	}
}

func await[T any](t testing.TB, c <-chan T) T {
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

func TestSubscriberSubscribes(t *testing.T) {
	tests := []struct {
		subject string
		allowed bool
	}{
		{"weir.>", true},
		{"weir.up.>", true},
		{"weir.up.*.*.telemetry", true},
		{"weir.down.default.d.rpc", true},
		{"_INBOX.x.*", true},
		{">", false},
		{"$KV.>", false},
		{"$KV.lists.allow", false},
		{"$JS.>", false},
		{"$SYS.>", false},
		{"_WEIR.>", false},
		{"_R_.>", false},
		{"*.up.>", false},
	}
	b := openWithBucket(t, embeddedConfig(t))
	nc, complaints := errorsOf(t, b.ClientURL())
	for _, tt := range tests {
		t.Run(tt.subject, func(t *testing.T) {
			sub, err := nc.SubscribeSync(tt.subject)
			require.NoError(t, err)
			require.NoError(t, nc.Flush())
			if tt.allowed {
				require.Empty(t, complaints)
				require.NoError(t, sub.Unsubscribe())
				return
			}
			require.ErrorIs(t, await(t, complaints), nats.ErrPermissionViolation)
		})
	}
}

// TestSubscriberReads uses the streams as a user of nats.go does: live, by pull
// and push consumers, by get and by list.
func TestSubscriberReads(t *testing.T) {
	b := openWithBucket(t, embeddedConfig(t))
	nc, complaints := errorsOf(t, b.ClientURL())
	js, err := jetstream.New(nc)
	require.NoError(t, err)

	t.Run("live", func(t *testing.T) {
		for _, subject := range []string{"weir.>", "weir.up.>", "weir.up.default.*.telemetry", "weir.*.default.d.telemetry"} {
			sub, err := nc.SubscribeSync(subject)
			require.NoError(t, err)
			require.NoError(t, nc.Flush())
			o := newOutcomes()
			require.NoError(t, b.Submit(record("d", `{"live":1}`), o, 1))
			m, err := sub.NextMsg(patience)
			require.NoError(t, err, subject)
			require.JSONEq(t, `{"live":1}`, string(m.Data))
			require.NoError(t, o.wait(t, 1)[1])
			require.NoError(t, sub.Unsubscribe())
		}
	})
	t.Run("pull, durable, with acknowledgements", func(t *testing.T) {
		c, err := js.CreateOrUpdateConsumer(t.Context(), "WEIR_UP", jetstream.ConsumerConfig{Durable: "reader"})
		require.NoError(t, err)
		got, err := c.Fetch(1, jetstream.FetchMaxWait(patience))
		require.NoError(t, err)
		m := await(t, got.Messages())
		require.Equal(t, `{"t":1}`, string(m.Data()))
		require.NoError(t, m.DoubleAck(t.Context()))
		info, err := c.Info(t.Context())
		require.NoError(t, err)
		require.Equal(t, uint64(1), info.AckFloor.Stream)
		require.NoError(t, js.DeleteConsumer(t.Context(), "WEIR_UP", "reader"))
	})
	t.Run("ordered, with a filter", func(t *testing.T) {
		c, err := js.OrderedConsumer(t.Context(), "WEIR_UP", jetstream.OrderedConsumerConfig{FilterSubjects: []string{"weir.up.default.>"}})
		require.NoError(t, err)
		m, err := c.Next()
		require.NoError(t, err)
		require.Equal(t, `{"t":1}`, string(m.Data()))
	})
	t.Run("push", func(t *testing.T) {
		old, err := nc.JetStream()
		require.NoError(t, err)
		sub, err := old.SubscribeSync("weir.dead.>", nats.BindStream("WEIR_DEAD"))
		require.NoError(t, err)
		m, err := sub.NextMsg(patience)
		require.NoError(t, err)
		require.Equal(t, "expected JSON", m.Header.Get("Weir-Reason"))
		require.NoError(t, m.AckSync())
		require.NoError(t, sub.Unsubscribe())
	})
	t.Run("get", func(t *testing.T) {
		s, err := js.Stream(t.Context(), "WEIR_EVENTS")
		require.NoError(t, err)
		m, err := s.GetLastMsgForSubject(t.Context(), "weir.events.offenders")
		require.NoError(t, err)
		require.Equal(t, "application/cloudevents+json", m.Header.Get("content-type"))
	})
	t.Run("list", func(t *testing.T) {
		names := js.StreamNames(t.Context())
		var got []string
		for name := range names.Name() {
			got = append(got, name)
		}
		require.NoError(t, names.Err())
		require.Subset(t, got, []string{"WEIR_UP", "WEIR_DEAD", "WEIR_EVENTS"})
	})
	require.Empty(t, complaints)
}

// TestNothingIsWrittenThroughTheServer tries every way to have JetStream write
// where a subscriber may not: by a consumer that delivers there, and by asking to be
// answered there.
func TestNothingIsWrittenThroughTheServer(t *testing.T) {
	b := openWithBucket(t, embeddedConfig(t))
	nc, _ := errorsOf(t, b.ClientURL())
	targets := []string{"weir.up.default.victim.telemetry", "$KV.lists.deny", "weir.events.banned", "weir.dead.default.d"}
	before := counts(t, b)
	for _, target := range targets {
		t.Run("consumer delivers to "+target, func(t *testing.T) {
			for _, subject := range []string{"CREATE.WEIR_EVENTS", "CREATE.WEIR_EVENTS.c", "DURABLE.CREATE.WEIR_EVENTS.c"} {
				for _, key := range []string{"deliver_subject", "Deliver_Subject", "DELIVER_SUBJECT"} {
					body := fmt.Sprintf(`{"stream_name":"WEIR_EVENTS","config":{"durable_name":"c","name":"c","ack_policy":"none",%q:%q}}`, key, target)
					answer, err := nc.Request("$JS.API.CONSUMER."+subject, []byte(body), patience)
					require.NoError(t, err)
					var got struct{ Error *struct{ Code int } }
					require.NoError(t, json.Unmarshal(answer.Data, &got))
					require.NotNil(t, got.Error, "%s", answer.Data)
				}
			}
		})
		t.Run("answers go to "+target, func(t *testing.T) {
			for _, ask := range []string{
				"$JS.API.INFO", "$JS.API.STREAM.INFO.WEIR_UP", "$JS.API.DIRECT.GET.WEIR_UP.weir.up.default.d.telemetry",
				"$JS.API.CONSUMER.CREATE.WEIR_UP", "$JS.API.CONSUMER.MSG.NEXT.WEIR_UP.none",
			} {
				require.NoError(t, nc.PublishRequest(ask, target, nil))
			}
			require.NoError(t, nc.Flush())
		})
	}
	// Requests of one connection are served in order: once this is answered, so were those.
	_, err := nc.Request("$JS.API.CONSUMER.CREATE.WEIR_UP", []byte("{"), patience)
	require.NoError(t, err)
	_, err = nc.Request("$JS.API.INFO", nil, patience)
	require.NoError(t, err)
	require.Equal(t, before, counts(t, b))
}
