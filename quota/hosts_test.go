package quota_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/quota"
)

func TestASensorBehindASharedAddress(t *testing.T) {
	c := newClock()
	h := newHosts(t, config(c))
	site := key("198.51.100.7")

	// The pump and the meter share an address, and so one budget of 3.
	d := h.Check(site, overHTTP)
	require.Equal(t, quota.Decision{Policy: h.Policy(), Used: 1, Reset: minute}, d)
	c.move(20 * time.Second)
	require.False(t, h.Check(site, overCoAP).Refused)
	c.move(10 * time.Second)
	d = h.Check(site, overMQTT)
	require.Equal(t, quota.Decision{Policy: h.Policy(), Used: 3, Reset: 30 * time.Second}, d)

	// The fourth is refused and told how long to wait; trying on changes nothing.
	for range 5 {
		d = h.Check(site, overHTTP)
		require.Equal(t, quota.Decision{Policy: h.Policy(), Refused: true, Used: 3, Reset: 30 * time.Second}, d)
		require.Equal(t, 30*time.Second, d.Wait())
	}
	c.move(29999 * time.Millisecond)
	require.Equal(t, time.Millisecond, h.Check(site, overHTTP).Wait())

	// Its neighbour in the next street is not concerned.
	require.False(t, h.Check(key("198.51.100.8"), overHTTP).Refused)

	// Having waited what it was told, it has a whole window again, from now on.
	c.move(time.Millisecond)
	require.Equal(t, quota.Decision{Policy: h.Policy(), Used: 1, Reset: minute}, h.Check(site, overHTTP))
	require.Equal(t, 2, admitted(h, site, 10))
}

func TestThePolicyIsTheConfigured(t *testing.T) {
	h := newHosts(t, config(newClock()))
	require.Equal(t, &quota.Policy{
		Name: "host", Class: quota.Total, Quota: 3, Window: minute, Profile: quota.ThingsBoard,
	}, h.Policy())
}

func TestALimitOfZeroAdmitsNone(t *testing.T) {
	c := newClock()
	cfg := config(c)
	cfg.Limit = 0
	h := newHosts(t, cfg)
	k := key("192.0.2.1")
	want := quota.Decision{Policy: h.Policy(), Refused: true, Reset: minute}
	require.Equal(t, want, h.Peek(k, overHTTP))
	require.Equal(t, want, h.Check(k, overHTTP))
	require.Equal(t, want, h.CheckUnverified(k, overCoAP))
	c.move(minute)
	require.Equal(t, want, h.Check(k, overHTTP))
}

func TestPeekChargesNothing(t *testing.T) {
	c := newClock()
	h := newHosts(t, config(c))
	k := key("192.0.2.1")
	require.Equal(t, quota.Decision{Policy: h.Policy(), Reset: minute}, h.Peek(k, overCoAP))
	require.Zero(t, h.Stats().Hosts, "an admitted peek keeps nothing")
	h.Check(k, overHTTP)
	c.move(time.Second)
	for range 10 {
		d := h.Peek(k, overCoAP)
		require.Equal(t, quota.Decision{Policy: h.Policy(), Used: 1, Reset: 59 * time.Second}, d)
	}
	require.Equal(t, 2, admitted(h, k, 2))
	require.Equal(t, quota.Decision{Policy: h.Policy(), Refused: true, Used: 3, Reset: 59 * time.Second},
		h.Peek(k, overCoAP))

	r := h.Report(10)
	require.EqualValues(t, 4, r.Requests, "only the refused peek is counted")
	require.EqualValues(t, 1, r.Refused)
	require.Equal(t, overHTTP|overCoAP, r.Top[0].Origins)
}

func TestForgedDatagramsSpendNobodysWindow(t *testing.T) {
	c := newClock()
	told := &diary{}
	cfg := config(c)
	cfg.OnTransition = told.tell
	h := newHosts(t, cfg)
	victim := key("192.0.2.1")
	var passed int
	for range 100 {
		if d := h.CheckUnverified(victim, overCoAP); !d.Refused {
			passed++
		} else {
			require.Equal(t, quota.Decision{Policy: h.Policy(), Refused: true, Used: 3, Reset: minute}, d)
		}
	}
	require.Equal(t, 3, passed, "a second window of the same size")
	require.False(t, h.Peek(victim, overCoAP).Refused)
	require.Equal(t, 3, admitted(h, victim, 3))
	require.Empty(t, told.all(), "forged datagrams begin no spell")
	require.EqualValues(t, 103, h.Report(1).Requests)

	c.move(minute)
	require.False(t, h.CheckUnverified(victim, overCoAP).Refused)
}

func TestDiscardIsOnlyReported(t *testing.T) {
	h := newHosts(t, config(newClock()))
	k := key("192.0.2.1")
	for range 10 {
		h.Discard(k, overMQTT)
	}
	require.Equal(t, 3, admitted(h, k, 3), "a host taken off the black list has its whole window")
	r := h.Report(5)
	require.EqualValues(t, 13, r.Requests)
	require.EqualValues(t, 10, r.Refused)
	require.Equal(t, overMQTT|overHTTP, r.Top[0].Origins)
}

func TestWhileOffNothingIsRefusedAndAllIsReported(t *testing.T) {
	c := newClock()
	cfg := config(c)
	cfg.Enabled = false
	h := newHosts(t, cfg)
	k := key("192.0.2.1")
	for range 10 {
		require.Equal(t, quota.Decision{}, h.Check(k, overHTTP))
		require.Equal(t, quota.Decision{}, h.CheckUnverified(k, overCoAP))
		require.Equal(t, quota.Decision{}, h.Peek(k, overCoAP))
	}
	require.Nil(t, h.Policy())
	r := h.Report(1)
	require.EqualValues(t, 20, r.Requests)
	require.Equal(t, []quota.Entry{{
		Key: k, Requests: 20, Origins: overHTTP | overCoAP, LastSeen: c.Now(),
	}}, r.Top)

	cfg.Enabled = true
	require.NoError(t, h.Reload(cfg))
	require.Equal(t, 3, admitted(h, k, 10), "no window counted meanwhile")
}

func TestReloadLosesNoCount(t *testing.T) {
	k := key("192.0.2.1")
	tests := []struct {
		name   string
		change func(*quota.HostsConfig)
		want   quota.Decision // of the next check, 10 s after two were admitted
	}{
		{"nothing", func(*quota.HostsConfig) {}, quota.Decision{Used: 3, Reset: 50 * time.Second}},
		{"more", func(c *quota.HostsConfig) { c.Limit = 10 }, quota.Decision{Used: 3, Reset: 50 * time.Second}},
		{"less", func(c *quota.HostsConfig) { c.Limit = 1 },
			quota.Decision{Refused: true, Used: 1, Reset: 50 * time.Second}},
		{"longer", func(c *quota.HostsConfig) { c.Interval, c.TTL = 2*minute, 2*minute },
			quota.Decision{Used: 3, Reset: 110 * time.Second}},
		{"shorter, still live", func(c *quota.HostsConfig) { c.Interval = 15 * time.Second },
			quota.Decision{Used: 3, Reset: 5 * time.Second}},
		{"shorter, over", func(c *quota.HostsConfig) { c.Interval = 10 * time.Second },
			quota.Decision{Used: 1, Reset: 10 * time.Second}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newClock()
			cfg := config(c)
			h := newHosts(t, cfg)
			require.Equal(t, 2, admitted(h, k, 2))
			c.move(10 * time.Second)
			tt.change(cfg)
			require.NoError(t, h.Reload(cfg))
			tt.want.Policy = h.Policy()
			require.Equal(t, tt.want, h.Check(k, overHTTP))
		})
	}
}

func TestRaisingTheLimitFreesARefusedHost(t *testing.T) {
	cfg := config(newClock())
	h := newHosts(t, cfg)
	k := key("192.0.2.1")
	require.Equal(t, 3, admitted(h, k, 10))
	cfg.Limit = 5
	require.NoError(t, h.Reload(cfg))
	st, ok := h.Lookup(k)
	require.True(t, ok)
	require.False(t, st.Exceeded)
	require.Equal(t, 2, admitted(h, k, 10))
}

func TestFaultsAreAllToldAtOnce(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(*quota.HostsConfig)
		paths []string
	}{
		{"none", func(*quota.HostsConfig) {}, nil},
		{"limit 0 is none", func(c *quota.HostsConfig) { c.Limit = 0 }, nil},
		{"no interval", func(c *quota.HostsConfig) { c.Interval = 0 }, []string{"intervalMs"}},
		{"negative interval", func(c *quota.HostsConfig) { c.Interval = -minute }, []string{"intervalMs"}},
		{"interval no whole ms", func(c *quota.HostsConfig) { c.Interval = 1500 * time.Microsecond }, []string{"intervalMs"}},
		{"ttl below interval", func(c *quota.HostsConfig) { c.TTL = minute - time.Millisecond }, []string{"ttlMs"}},
		{"no clean period", func(c *quota.HostsConfig) { c.CleanPeriod = 0 }, []string{"cleanPeriodMs"}},
		{"no hosts", func(c *quota.HostsConfig) { c.MaxHosts = 0 }, []string{"maxHosts"}},
		{"too many hosts", func(c *quota.HostsConfig) { c.MaxHosts = quota.MaxMaxHosts + 1 }, []string{"maxHosts"}},
		{"no such profile", func(c *quota.HostsConfig) { c.Profile = 3 }, []string{"profile"}},
		{"off is no excuse", func(c *quota.HostsConfig) { c.Enabled, c.MaxHosts = false, -1 }, []string{"maxHosts"}},
		{"all", func(c *quota.HostsConfig) { *c = quota.HostsConfig{Profile: 9} },
			[]string{"intervalMs", "ttlMs", "cleanPeriodMs", "maxHosts", "profile"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newClock()
			h := newHosts(t, config(c))
			before := h.Policy()
			cfg := config(c)
			tt.spoil(cfg)
			var paths []string
			for _, f := range cfg.Validate() {
				require.NotEmpty(t, f.Problem)
				paths = append(paths, f.Path)
			}
			require.Equal(t, tt.paths, paths)
			_, err := quota.NewHosts(cfg)
			errReload := h.Reload(cfg)
			if len(paths) == 0 {
				require.NoError(t, err)
				require.NoError(t, errReload)
				return
			}
			require.Same(t, before, h.Policy(), "a refused reload changes nothing")
			for _, path := range paths {
				require.ErrorContains(t, err, path+": ")
				require.ErrorContains(t, errReload, path+": ")
			}
			var fault quota.Fault
			require.ErrorAs(t, err, &fault)
		})
	}
}

func TestAClockThatJumpsHarmsNobodyForLongerThanAWindow(t *testing.T) {
	for _, jump := range []time.Duration{
		-100 * 365 * 24 * time.Hour, -24 * time.Hour, -time.Hour, -minute, -time.Second, -time.Millisecond,
		time.Millisecond, minute, time.Hour, 24 * time.Hour, 200 * 365 * 24 * time.Hour,
	} {
		t.Run(jump.String(), func(t *testing.T) {
			c := newClock()
			h := newHosts(t, config(c))
			k := key("192.0.2.1")
			require.Equal(t, 3, admitted(h, k, 4))
			h.CheckUnverified(k, overCoAP)
			c.move(jump)
			if d := h.Check(k, overHTTP); d.Refused {
				require.Positive(t, d.Reset)
				require.LessOrEqual(t, d.Reset, minute)
			}
			h.Sweep()
			c.move(minute)
			require.False(t, h.Check(k, overHTTP).Refused)
			require.Equal(t, 2, admitted(h, k, 9))

			r := h.Report(1)
			require.False(t, r.From.After(r.To))
			c.move(minute)
			h.Sweep()
			require.Zero(t, h.Stats().Hosts, "nothing outstays its time by the jump")
		})
	}
}

func TestLookupTellsWithoutCounting(t *testing.T) {
	c := newClock()
	h := newHosts(t, config(c))
	k := key("192.0.2.1")
	_, known := h.Lookup(k)
	require.False(t, known)

	began := c.Now()
	require.Equal(t, 3, admitted(h, k, 5))
	h.CheckUnverified(k, overCoAP)
	c.move(time.Second)
	for range 3 {
		st, known := h.Lookup(k)
		require.True(t, known)
		require.Equal(t, quota.Status{
			Entry: quota.Entry{
				Key: k, Requests: 6, Refused: 2, Origins: overHTTP | overCoAP, LastSeen: began, Exceeded: true,
			},
			Own:        quota.Decision{Policy: h.Policy(), Refused: true, Used: 3, Reset: 59 * time.Second},
			Unverified: quota.Decision{Policy: h.Policy(), Used: 1, Reset: 59 * time.Second},
			InSpell:    true, Since: began,
		}, st)
	}
}
