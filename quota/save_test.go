package quota_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/quota"
)

// hourly is config with a window of an hour.
func hourly(c quota.Clock) *quota.HostsConfig {
	cfg := config(c)
	cfg.Interval, cfg.TTL = time.Hour, time.Hour
	return cfg
}

func saved(t testing.TB, h *quota.Hosts) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, h.Save(&b))
	return b.Bytes()
}

func TestARestartForgivesNobody(t *testing.T) {
	for _, sought := range []bool{true, false} {
		c := newClock()
		before := newHosts(t, hourly(c))
		hosts := []quota.Key{key("192.0.2.1"), key("2001:db8::1"), key("fd00::1"), key("fe80::1")}
		for i, k := range hosts {
			admitted(before, k, i+1)
			before.CheckUnverified(k, overCoAP)
		}
		c.move(10 * time.Minute)
		early := stranger(1)
		before.Check(early, overHTTP)
		file := saved(t, before)

		c.move(10 * time.Minute) // it was down
		after := newHosts(t, hourly(c))
		var r io.Reader = bytes.NewReader(file)
		if !sought {
			r = io.MultiReader(r)
		}
		n, err := after.Load(r)
		require.NoError(t, err)
		require.Equal(t, 9, n)
		require.Equal(t, 5, after.Stats().Hosts)
		require.Zero(t, after.Top(9).Requests, "nobody asked yet")
		for i, k := range hosts {
			require.Equal(t, max(0, 2-i), admitted(after, k, 9))
			d := after.Check(k, overHTTP)
			require.True(t, d.Refused)
			require.Equal(t, 40*time.Minute, d.Reset)
			require.Equal(t, 2, passed(after, k, 9))
		}
		require.Equal(t, 50*time.Minute, after.Check(early, overHTTP).Reset)
	}
}

// passed is how many of n unverified checks of k are admitted.
func passed(h *quota.Hosts, k quota.Key, n int) int {
	ok := 0
	for range n {
		if !h.CheckUnverified(k, overCoAP).Refused {
			ok++
		}
	}
	return ok
}

func TestWhatIsOverIsNotLoaded(t *testing.T) {
	tests := []struct {
		name   string
		change func(*clock, *quota.HostsConfig)
		want   int
	}{
		{"nothing", func(*clock, *quota.HostsConfig) {}, 10},
		{"over meanwhile", func(c *clock, _ *quota.HostsConfig) { c.move(time.Hour) }, 0},
		{"over under the new interval", func(c *clock, cfg *quota.HostsConfig) {
			c.move(10 * time.Minute)
			cfg.Interval = 10 * time.Minute
		}, 0},
		{"clock set back", func(c *clock, _ *quota.HostsConfig) { c.move(-24 * time.Hour) }, 10},
		{"off", func(_ *clock, cfg *quota.HostsConfig) { cfg.Enabled = false }, 0},
		{"no room", func(_ *clock, cfg *quota.HostsConfig) { cfg.MaxHosts = 4 }, 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newClock()
			cfg := hourly(c)
			h := newHosts(t, cfg)
			for i := range 10 {
				h.Check(stranger(i), overHTTP)
			}
			file := saved(t, h)
			tt.change(c, cfg)
			h = newHosts(t, cfg)
			n, err := h.Load(bytes.NewReader(file))
			require.NoError(t, err)
			require.Equal(t, tt.want, n)
			require.Equal(t, tt.want, h.Stats().Hosts)
			if d := h.Check(stranger(0), overHTTP); d.Policy != nil {
				require.LessOrEqual(t, d.Reset, cfg.Interval)
			}
		})
	}
}

func TestShortWindowsAreNotSaved(t *testing.T) {
	h := newHosts(t, config(newClock()))
	h.Check(stranger(1), overHTTP)
	n, err := newHosts(t, hourly(newClock())).Load(bytes.NewReader(saved(t, h)))
	require.NoError(t, err)
	require.Zero(t, n)
}

func TestAWindowThatBeganMeanwhileKeepsItsCount(t *testing.T) {
	c := newClock()
	cfg := hourly(c)
	cfg.Limit = 10
	h := newHosts(t, cfg)
	k := key("192.0.2.1")
	require.Equal(t, 4, admitted(h, k, 4))
	file := saved(t, h)
	h = newHosts(t, cfg)
	require.Equal(t, 3, admitted(h, k, 3))
	_, err := h.Load(bytes.NewReader(file))
	require.NoError(t, err)
	require.Equal(t, 3, admitted(h, k, 20))
	require.EqualValues(t, 23, h.Report(1).Requests)
}

func TestATornFileLoadsNothing(t *testing.T) {
	c := newClock()
	h := newHosts(t, hourly(c))
	for i := range 20 {
		h.Check(stranger(i), overHTTP)
	}
	file := saved(t, h)
	refused := func(file []byte) {
		h := newHosts(t, hourly(c))
		n, err := h.Load(bytes.NewReader(file))
		require.ErrorIs(t, err, quota.ErrSaved)
		require.Zero(t, n)
		require.Zero(t, h.Stats().Hosts)
	}
	for n := range file {
		refused(file[:n])
	}
	for i := range file {
		torn := bytes.Clone(file)
		torn[i] ^= 1
		refused(torn)
	}
}

type brokenPipe struct{ left int }

var errPipe = errors.New("broken pipe")

func (b *brokenPipe) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, errPipe
	}
	return len(p), nil
}

func (b *brokenPipe) Read([]byte) (int, error) { return 0, errPipe }

func TestSaveAndLoadTellTheirErrors(t *testing.T) {
	h := newHosts(t, hourly(newClock()))
	for i := range 1000 {
		h.Check(stranger(i), overHTTP)
	}
	whole := len(saved(t, h))
	for _, left := range []int{0, 10_000, whole - 1} {
		require.ErrorIs(t, h.Save(&brokenPipe{left}), errPipe)
	}
	_, err := h.Load(&brokenPipe{})
	require.ErrorIs(t, err, errPipe)
}

func FuzzLoad(f *testing.F) {
	h := newHosts(f, hourly(newClock()))
	f.Add(saved(f, h))
	h.Check(stranger(1), overHTTP)
	h.CheckUnverified(key("fe80::1"), overCoAP)
	f.Add(saved(f, h))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, file []byte) {
		h := newHosts(t, hourly(newClock()))
		n, err := h.Load(bytes.NewReader(file))
		if err != nil {
			require.Zero(t, n)
			require.Zero(t, h.Stats().Hosts)
			return
		}
		if n > 0 {
			require.Positive(t, h.Stats().Hosts)
		}
		again := newHosts(t, hourly(newClock()))
		m, err := again.Load(bytes.NewReader(saved(t, h)))
		require.NoError(t, err)
		require.LessOrEqual(t, m, n)
	})
}
