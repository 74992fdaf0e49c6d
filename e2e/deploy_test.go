package e2e_test

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// deployed is one nats-server on the configuration of docker-compose.yml, but
// for its ports, its folder and its cluster.
func deployed(t *testing.T) string {
	t.Helper()
	t.Setenv("NATS_WEIR_PASSWORD", "weir-secret")
	t.Setenv("NATS_SERVICES_PASSWORD", "services-secret")
	opts, err := server.ProcessConfigFile("../deploy/nats.conf")
	require.NoError(t, err)
	opts.Host, opts.Port, opts.HTTPPort = "127.0.0.1", server.RANDOM_PORT, 0
	opts.Cluster, opts.Routes = server.ClusterOpts{}, nil
	opts.StoreDir, opts.NoSigs, opts.NoLog = t.TempDir(), true, true
	s, err := server.NewServer(opts)
	require.NoError(t, err)
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	require.True(t, s.ReadyForConnections(patience))
	return s.Addr().String()
}

// TestTheDeployedNATS: on the cluster's configuration Weir stores, services watch
// and answer devices and read a consumer that the operator made; none can write
// in a device's name.
func TestTheDeployedNATS(t *testing.T) {
	at := deployed(t)
	g := start(t, "", "WEIR_NATS__URL=nats://weir:weir-secret@"+at, "WEIR_NATS__UP__MAXBYTES=1GiB")
	operator, err := nats.Connect("nats://weir:weir-secret@" + at)
	require.NoError(t, err)
	defer operator.Close()
	services, err := nats.Connect("nats://services:services-secret@"+at, nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	require.NoError(t, err)
	defer services.Close()

	live, err := services.SubscribeSync("weir.up.>")
	require.NoError(t, err)
	_, err = services.Subscribe("weir.call.*.*.attributes", func(m *nats.Msg) {
		_ = m.Respond([]byte(`{"shared":{"interval":30}}`))
	})
	require.NoError(t, err)
	require.NoError(t, services.Flush())

	require.Equal(t, 200, post(t, g, "pump").StatusCode)
	m, err := live.NextMsg(patience)
	require.NoError(t, err)
	require.Equal(t, "weir.up.default.pump.telemetry", m.Subject)

	resp, err := http.Get(g.HTTP + "/api/v1/pump/attributes?sharedKeys=interval")
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	require.NoError(t, err)
	require.Equal(t, `{"shared":{"interval":30}}`, string(body))

	js, err := jetstream.New(operator)
	require.NoError(t, err)
	_, err = js.CreateConsumer(t.Context(), "WEIR_UP", jetstream.ConsumerConfig{Durable: "reader"})
	require.NoError(t, err)
	next, err := services.Request("$JS.API.CONSUMER.MSG.NEXT.WEIR_UP.reader", []byte("1"), patience)
	require.NoError(t, err)
	require.Equal(t, `{"n":1}`, string(next.Data))

	forge(t, services)
	require.Len(t, stored(t, operator, "WEIR_UP"), 1, "and nothing that a service forged")
}

// forge tries every way known to write to weir.up as a service.
func forge(t *testing.T, services *nats.Conn) {
	t.Helper()
	const victim = "weir.up.default.pump.telemetry"
	require.NoError(t, services.Publish(victim, []byte("forged")))
	for _, api := range []string{"$JS.API.INFO", "$JS.API.CONSUMER.INFO.WEIR_UP.reader", "$JS.API.CONSUMER.MSG.NEXT.WEIR_UP.reader"} {
		require.NoError(t, services.PublishRequest(api, victim, []byte("1")))
	}
	require.NoError(t, services.PublishRequest("$JS.API.CONSUMER.CREATE.WEIR_UP", "_INBOX.x",
		[]byte(`{"stream_name":"WEIR_UP","config":{"deliver_subject":"`+victim+`","ack_policy":"none"}}`)))
	require.NoError(t, services.Flush())
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := services.RequestWithContext(ctx, "$JS.API.STREAM.PURGE.WEIR_UP", nil)
	require.Error(t, err)
}
