package bus_test

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/bus"
)

func hostPort(text string) (string, int, error) {
	u, err := url.Parse(text)
	if err != nil {
		return "", 0, err
	}
	port, err := strconv.Atoi(u.Port())
	return u.Hostname(), port, err
}

// TestAcknowledgedIsStored submits from many devices and finds every byte of
// every acknowledged message, in order per device, with its headers.
func TestAcknowledgedIsStored(t *testing.T) {
	tests := []struct {
		name string
		cfg  func(*bus.Config) *bus.Config
		n    int
	}{
		{"atomic batches", func(c *bus.Config) *bus.Config { return c }, 5000},
		{"single publishes, as a NATS before 2.12 needs", bus.WithoutAtomic, 600},
		{"interval sync", func(c *bus.Config) *bus.Config { c.Embedded.Sync = bus.SyncInterval; return c }, 3000},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := openBus(t, tt.cfg(embeddedConfig(t)))
			o := newOutcomes()
			for i := range tt.n {
				r := record("d"+strconv.Itoa(i%7), fmt.Sprintf(`{"n":%d}`, i))
				require.NoError(t, b.Submit(r, o, uint64(i)))
				clear(r.Payload) // the transport's again
			}
			for tag, err := range o.wait(t, tt.n) {
				require.NoError(t, err, tag)
			}
			last := map[string]int{}
			msgs := all(t, connectTo(t, b.ClientURL()), bus.StreamUp)
			require.Len(t, msgs, tt.n)
			for _, m := range msgs {
				n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(string(m.Data), `{"n":`), "}"))
				require.NoError(t, err, "payload %q", m.Data)
				device := m.Header.Get("Weir-Device")
				require.Equal(t, "d"+strconv.Itoa(n%7), device)
				require.Equal(t, "weir.up.default."+device+".telemetry", m.Subject)
				before, seen := last[device]
				require.True(t, !seen || n > before, "%s: %d after %d", device, n, before)
				last[device] = n
				require.Equal(t, "2026-11-23T07:33:55.123Z", m.Header.Get("Weir-Received"))
				require.Equal(t, "application/json", m.Header.Get("Content-Type"))
				require.Equal(t, "http", m.Header.Get("Weir-Transport"))
				require.Equal(t, "192.0.2.1", m.Header.Get("Weir-Host"))
				require.Equal(t, "default", m.Header.Get("Weir-Account"))
			}
			require.Equal(t, uint64(tt.n), b.Stats().Stored)
		})
	}
}
