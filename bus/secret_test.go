package bus_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/bus"
)

// TestATokenIsNeverTold: neither where subscribers connect nor the log repeats
// what nats.url holds to get in.
func TestATokenIsNeverTold(t *testing.T) {
	tests := []struct{ name, user, token string }{
		{"a token", "", "s3cr3t"},
		{"a user", "s3cr3t-user", "s3cr3t"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			opts := &server.Options{
				Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(),
				NoSigs: true, NoLog: true, Username: tt.user,
			}
			at := tt.token
			if tt.user == "" {
				opts.Authorization = tt.token
			} else {
				opts.Password = tt.token
				at = tt.user + ":" + tt.token
			}
			s, err := server.NewServer(opts)
			require.NoError(t, err)
			s.Start()
			t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
			require.True(t, s.ReadyForConnections(patience))

			var log bytes.Buffer
			url := strings.Replace(s.ClientURL(), "nats://", "nats://"+at+"@", 1)
			b := openBus(t, &bus.Config{URL: url, Log: slog.New(slog.NewTextHandler(&log, nil))})
			require.Equal(t, s.ClientURL(), b.ClientURL())
			closeBus(t, b)
			require.NotContains(t, log.String(), "s3cr3t")
		})
	}
}
