package bus_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/bus"
)

// tmpfs mounts a file system of a megabyte or so for the test.
func tmpfs(t *testing.T, size int) string {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+strconv.Itoa(size)); err != nil {
		t.Skip("needs root and mount(2) of a tmpfs:", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, 0)) })
	return dir
}

// TestDiskFull fills the disk: nothing is acknowledged that is not stored, the
// gateway says that it is not ready, and when there is room again it stores
// again, without being restarted.
func TestDiskFull(t *testing.T) {
	for name, burst := range map[string]int{"single messages": 1, "batches": 100} {
		t.Run(name, func(t *testing.T) {
			dir := tmpfs(t, 3<<20)
			cfg := embeddedConfig(t)
			cfg.Embedded.Dir = filepath.Join(dir, "data")
			cfg.Timeout = 2 * time.Second
			ballast := filepath.Join(dir, "ballast")
			require.NoError(t, os.WriteFile(ballast, make([]byte, 1536<<10), 0o600))
			b := openBus(t, cfg)

			acked := map[string]bool{}
			fill(t, b, burst, acked)
			require.Error(t, b.Ready())
			require.ErrorIs(t, b.Submit(record("d", "more"), newOutcomes(), 0), bus.ErrAway)

			require.NoError(t, os.Remove(ballast))
			require.Eventually(t, func() bool { return b.Ready() == nil }, patience, time.Millisecond)
			o := newOutcomes()
			require.NoError(t, b.Submit(record("d", "room"), o, 0))
			require.NoError(t, o.wait(t, 1)[0])
			acked["room"] = true
			held := payloads(all(t, b.Conn(), bus.StreamUp))
			for text := range acked {
				require.Positive(t, held[text], "%.10s was acknowledged and is not there", text)
			}
		})
	}
}

// fill stores messages in bursts until one is refused, and notes the acknowledged.
func fill(t *testing.T, b *bus.Bus, burst int, acked map[string]bool) {
	for next, refused := 0, false; !refused; next += burst {
		o := newOutcomes()
		texts := make([]string, burst)
		for i := range texts {
			texts[i] = strconv.Itoa(next+i) + strings.Repeat("x", 500)
			if err := b.Submit(record("d", texts[i]), o, uint64(i)); err != nil {
				require.ErrorIs(t, err, bus.ErrAway)
				o.Complete(uint64(i), err)
			}
		}
		for i, err := range o.wait(t, burst) {
			refused = refused || err != nil
			if err == nil {
				acked[texts[i]] = true
			}
		}
	}
}

func TestDiskFullAtStart(t *testing.T) {
	dir := tmpfs(t, 1<<20)
	cfg := embeddedConfig(t)
	cfg.Embedded.Dir = filepath.Join(dir, "data")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ballast"), make([]byte, 900<<10), 0o600))
	_, err := bus.Open(t.Context(), cfg)
	require.ErrorContains(t, err, "the disk is full")
	require.ErrorContains(t, err, cfg.Embedded.Dir)
	require.NotContains(t, err.Error(), "\n")
}
