package bus_test

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/bus"
)

// TestOpenFaults has Open fail in every way an operator can make it: one line
// that names what is at fault, and nothing left behind.
func TestOpenFaults(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = taken.Close() })
	write := func(name, text string) func(*testing.T, *bus.Config) {
		return func(t *testing.T, c *bus.Config) {
			require.NoError(t, os.MkdirAll(c.Embedded.Dir, 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(c.Embedded.Dir, name), []byte(text), 0o600))
		}
	}
	tests := []struct {
		name  string
		setup func(*testing.T, *bus.Config)
		want  []string
	}{
		{"port taken", func(_ *testing.T, c *bus.Config) { c.Embedded.Listen = taken.Addr().String() },
			[]string{"nats.embedded.listen", taken.Addr().String(), "address already in use"}},
		{"address of nobody", func(_ *testing.T, c *bus.Config) {
			c.Embedded = bus.EmbeddedConfig{Listen: "192.0.2.1:0", Dir: c.Embedded.Dir, Users: []bus.User{{Name: "a", Password: "b"}}}
			c.Embedded.TLSCert, c.Embedded.TLSKey = certificate(t)
		}, []string{"nats.embedded.listen", "192.0.2.1:0", "cannot assign"}},
		{"newer format", write("format", "2\n"), []string{"nats.embedded.dir", "newer"}},
		{"no format", write("format", "hello"), []string{"nats.embedded.dir", "format"}},
		{"a file in the way", func(t *testing.T, c *bus.Config) {
			require.NoError(t, os.WriteFile(c.Embedded.Dir, nil, 0o600))
		}, []string{"nats.embedded.dir", "data"}},
		{"off loopback without users", func(_ *testing.T, c *bus.Config) { c.Embedded.Listen = "0.0.0.0:0" },
			[]string{"nats.embedded.listen", "users and tls"}},
		{"every address without users", func(_ *testing.T, c *bus.Config) { c.Embedded.Listen = ":4222" },
			[]string{"nats.embedded.listen", "users and tls"}},
		{"no port", func(_ *testing.T, c *bus.Config) { c.Embedded.Listen = "127.0.0.1" }, []string{"nats.embedded.listen", "ADDRESS:PORT"}},
		{"no certificate", func(_ *testing.T, c *bus.Config) { c.Embedded.TLSCert, c.Embedded.TLSKey = "/no/cert", "/no/key" },
			[]string{"nats.embedded.tls", "/no/cert"}},
		{"half a certificate", func(_ *testing.T, c *bus.Config) { c.Embedded.TLSCert = "/no/cert" }, []string{"nats.embedded.tls"}},
		{"user without password", func(_ *testing.T, c *bus.Config) { c.Embedded.Users = []bus.User{{Name: "a"}} }, []string{"nats.embedded.users"}},
		{"replicas of an embedded", func(_ *testing.T, c *bus.Config) { c.Up.Replicas = 3 }, []string{"nats.up.replicas", "nats.url"}},
		{"too many replicas", func(_ *testing.T, c *bus.Config) { c.Up.Replicas = 6 }, []string{"nats.up.replicas"}},
		{"no age", func(_ *testing.T, c *bus.Config) { c.Up.MaxAge = time.Millisecond }, []string{"nats.up.maxAge"}},
		{"negative size", func(_ *testing.T, c *bus.Config) { c.Up.MaxBytes = -1 }, []string{"nats.up.maxBytes"}},
		{"negative limit", func(_ *testing.T, c *bus.Config) { c.Limit = -1 }, []string{"nats"}},
		{"nobody at nats.url", func(_ *testing.T, c *bus.Config) { c.URL = "nats://bob:hunter2@127.0.0.1:1" },
			[]string{"nats.url nats://127.0.0.1:1", "connection"}},
		{"nats.url is none", func(_ *testing.T, c *bus.Config) { c.URL = "nats://bob:hunter2@[::1" }, []string{"nats.url"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := embeddedConfig(t)
			tt.setup(t, cfg)
			_, err := bus.Open(t.Context(), cfg)
			require.Error(t, err)
			require.NotContains(t, err.Error(), "\n")
			require.NotContains(t, err.Error(), "hunter2")
			for _, want := range tt.want {
				require.Contains(t, err.Error(), want)
			}
		})
	}
}

func TestDirectoryIsPrivateAndLocked(t *testing.T) {
	cfg := embeddedConfig(t)
	require.NoError(t, os.Mkdir(cfg.Embedded.Dir, 0o755))
	b := openBus(t, cfg)
	info, err := os.Stat(cfg.Embedded.Dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	format, err := os.ReadFile(filepath.Join(cfg.Embedded.Dir, "format"))
	require.NoError(t, err)
	require.Equal(t, "1\n", string(format))
	require.Positive(t, b.FsyncCost())

	_, err = bus.Open(t.Context(), cfg)
	require.ErrorContains(t, err, "in use by another weir")
	require.ErrorContains(t, err, cfg.Embedded.Dir)

	closeBus(t, b)
	second := openBus(t, cfg)
	require.NoError(t, second.Ready())
}

// TestAFolderOfOthersIsLeftAlone: a mistyped directory loses neither its files
// nor its mode; what an earlier, cut off start left is no obstacle.
func TestAFolderOfOthersIsLeftAlone(t *testing.T) {
	cfg := embeddedConfig(t)
	require.NoError(t, os.Mkdir(cfg.Embedded.Dir, 0o755))
	letter := filepath.Join(cfg.Embedded.Dir, "letter")
	require.NoError(t, os.WriteFile(letter, []byte("dear"), 0o644))
	_, err := bus.Open(t.Context(), cfg)
	require.ErrorContains(t, err, `holds "letter" and is no data directory of weir's`)
	entries, err := os.ReadDir(cfg.Embedded.Dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	info, err := os.Stat(cfg.Embedded.Dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o755), info.Mode().Perm())

	require.NoError(t, os.Remove(letter))
	require.NoError(t, os.WriteFile(filepath.Join(cfg.Embedded.Dir, "lock"), nil, 0o600))
	require.NoError(t, openBus(t, cfg).Ready())
}

// TestKeptOverRestart closes the bus and finds the messages in the next, under
// a new limit.
func TestKeptOverRestart(t *testing.T) {
	cfg := embeddedConfig(t)
	b := openBus(t, cfg)
	for _, err := range submitAll(t, b, 100, func(int, *bus.Record) {}) {
		require.NoError(t, err)
	}
	closeBus(t, b)
	cfg.Up.MaxBytes, cfg.Up.MaxAge = 32<<20, time.Hour
	b = openBus(t, cfg)
	require.Len(t, all(t, b.Conn(), bus.StreamUp), 100)
}

// TestMended breaks the store by hand, where no tmpfs can be had: the server
// is restarted at the same address behind everybody's connections.
func TestMended(t *testing.T) {
	b := openBus(t, embeddedConfig(t))
	url := b.ClientURL()
	subscriber := connectTo(t, url)
	b.BreakStore()
	require.Error(t, b.Ready())
	require.ErrorIs(t, b.Submit(record("d", "x"), newOutcomes(), 0), bus.ErrAway)
	require.Eventually(t, func() bool { return b.Ready() == nil }, patience, time.Millisecond)
	require.Equal(t, url, b.ClientURL())
	for _, err := range submitAll(t, b, 100, func(int, *bus.Record) {}) {
		require.NoError(t, err)
	}
	require.Eventually(t, subscriber.IsConnected, patience, time.Millisecond)
	require.Len(t, all(t, subscriber, bus.StreamUp), 100)
}
