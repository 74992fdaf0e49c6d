package quota_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/quota"
)

func TestASpellIsToldOnceAndEndsAfterAQuietWindow(t *testing.T) {
	c := newClock()
	told := &diary{}
	cfg := config(c)
	cfg.OnTransition = told.tell
	h := newHosts(t, cfg)
	k := key("192.0.2.1")

	h.Check(k, overMQTT)
	admitted(h, k, 2)
	require.Empty(t, told.all())
	c.move(10 * time.Second)
	began := c.Now()
	for range 4 { // it keeps on, windows long: one spell
		h.Peek(k, overCoAP)
		admitted(h, k, 10)
		h.TellRecovered()
		c.move(50 * time.Second)
	}
	require.Equal(t, []quota.Transition{{
		Key: k, Policy: h.Policy(), Exceeded: true, At: began, Since: began,
		Used: 3, Quota: 3, Refused: 1, Origins: overMQTT | overHTTP | overCoAP,
	}}, told.all())
	require.Equal(t, 1, h.Stats().Spells)

	// Its last refusal was 50 s ago. Being admitted does not hinder recovery, a
	// sweep does not lose it.
	c.move(10*time.Second - time.Millisecond)
	h.Check(k, overHTTP)
	h.TellRecovered()
	require.Len(t, told.all(), 1)
	c.move(2 * minute)
	h.Sweep()
	require.Zero(t, h.Stats().Hosts)
	h.TellRecovered()
	h.TellRecovered()
	last := told.all()[1:]
	require.Len(t, last, 1, "told once")
	require.Positive(t, last[0].Refused)
	refused := h.Report(1).Refused
	require.Equal(t, quota.Transition{
		Key: k, Policy: h.Policy(), At: c.Now(), Since: began,
		Used: 3, Quota: 3, Refused: refused, Origins: overMQTT | overHTTP | overCoAP,
	}, last[0])
	require.Zero(t, h.Stats().Spells)

	admitted(h, k, 4)
	require.Len(t, told.all(), 3, "the next spell is another")
}

func TestASpellOutlivesItsSlot(t *testing.T) {
	c := newClock()
	told := &diary{}
	cfg := config(c)
	cfg.MaxHosts, cfg.OnTransition = 1, told.tell
	h := newHosts(t, cfg)
	k := key("192.0.2.1")
	c.move(-30 * time.Second)
	admitted(h, k, 3)
	c.move(50 * time.Second)
	admitted(h, k, 1)
	c.move(10 * time.Second) // its window is over, its spell is not
	require.False(t, h.Check(key("192.0.2.2"), overHTTP).Refused)
	st, known := h.Lookup(k)
	require.True(t, known)
	require.True(t, st.InSpell)
	c.move(minute - 10*time.Second)
	require.Equal(t, 1, h.Stats().Spells)
	h.TellRecovered()
	require.Len(t, told.all(), 2)
	_, known = h.Lookup(k)
	require.False(t, known)
}

func TestAReloadEndsSpellsSensibly(t *testing.T) {
	tests := []struct {
		name   string
		change func(*quota.HostsConfig)
		atOnce bool
	}{
		{"off", func(c *quota.HostsConfig) { c.Enabled = false }, true},
		{"limit raised", func(c *quota.HostsConfig) { c.Limit = 100 }, false},
		{"interval shortened", func(c *quota.HostsConfig) { c.Interval = 10 * time.Second }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newClock()
			told := &diary{}
			cfg := config(c)
			cfg.OnTransition = told.tell
			h := newHosts(t, cfg)
			policy := h.Policy()
			k := key("192.0.2.1")
			admitted(h, k, 9)
			tt.change(cfg)
			require.NoError(t, h.Reload(cfg))
			if !tt.atOnce {
				require.Len(t, told.all(), 1)
				c.move(cfg.Interval)
				h.TellRecovered()
			}
			require.Len(t, told.all(), 2)
			end := told.all()[1]
			require.False(t, end.Exceeded)
			require.Same(t, policy, end.Policy, "the one that refused")
			require.EqualValues(t, 3, end.Quota)
			require.EqualValues(t, 6, end.Refused)
			require.Zero(t, h.Stats().Spells)
		})
	}
}

func TestSpellsAreBounded(t *testing.T) {
	c := newClock()
	told := &diary{}
	cfg := config(c)
	cfg.Limit, cfg.MaxHosts, cfg.OnTransition = 0, 200_000, told.tell
	h := newHosts(t, cfg)
	for range 3 {
		for i := range quota.MaxSpells + 100 {
			require.True(t, h.Check(stranger(i), overHTTP).Refused)
		}
	}
	require.Len(t, told.all(), quota.MaxSpells)
	require.Equal(t, quota.MaxSpells, h.Stats().Spells)
	require.EqualValues(t, 100, h.Stats().SpellsDropped, "once a host and window")

	c.move(minute)
	h.TellRecovered()
	require.Len(t, told.all(), 2*quota.MaxSpells)
	require.Zero(t, h.Stats().Spells)
	h.Check(stranger(quota.MaxSpells+1), overHTTP)
	require.Equal(t, 1, h.Stats().Spells)
}

func TestASpellSurvivesAClockSetBack(t *testing.T) {
	c := newClock()
	told := &diary{}
	cfg := config(c)
	cfg.OnTransition = told.tell
	h := newHosts(t, cfg)
	admitted(h, key("192.0.2.1"), 4)
	c.move(-24 * time.Hour)
	h.TellRecovered()
	require.Len(t, told.all(), 1)
	c.move(minute)
	h.TellRecovered()
	require.Len(t, told.all(), 2)
	require.False(t, told.all()[1].Since.After(told.all()[1].At))
}
