package quota_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/quota"
)

func TestAFloodOfNewHosts(t *testing.T) {
	for _, maxHosts := range []int{1, 2, 10, 1024, 1025, 50_000} {
		t.Run(fmt.Sprint(maxHosts), func(t *testing.T) {
			c := newClock()
			cfg := config(c)
			cfg.MaxHosts = maxHosts
			h := newHosts(t, cfg)
			n := 4*maxHosts + 1000
			for i := range n {
				require.False(t, h.Check(stranger(i), overHTTP).Refused)
			}
			st := h.Stats()
			require.Equal(t, maxHosts, st.Capacity)
			require.LessOrEqual(t, st.Hosts, maxHosts)
			require.GreaterOrEqual(t, st.Hosts, maxHosts*9/10)
			require.EqualValues(t, n-st.Hosts, st.Evicted)
			require.Zero(t, st.Overflowed)

			r := h.Report(3)
			require.EqualValues(t, n, r.Requests, "what was forgotten is still counted")
			require.EqualValues(t, n, r.Hosts)
			require.Len(t, r.Top, 3)

			// Every window is over: all is forgotten, and counted as such.
			c.move(minute)
			h.Sweep()
			require.Zero(t, h.Stats().Hosts)
			require.EqualValues(t, st.Hosts, h.Stats().Swept)
		})
	}
}

func TestARefusedHostIsNotForgottenWhateverStrangersCome(t *testing.T) {
	for _, maxHosts := range []int{2, 10, 40, 5000} {
		t.Run(fmt.Sprint(maxHosts), func(t *testing.T) {
			c := newClock()
			cfg := config(c)
			cfg.MaxHosts = maxHosts
			h := newHosts(t, cfg)
			flooder := key("192.0.2.1")
			require.Equal(t, 3, admitted(h, flooder, 4))
			for i := range 5 * maxHosts {
				h.Check(stranger(i), overHTTP)
				h.CheckUnverified(stranger(-i), overCoAP)
				h.Discard(stranger(i+maxHosts), overHTTP)
			}
			require.True(t, h.Check(flooder, overHTTP).Refused)
			c.move(minute)
			require.False(t, h.Check(flooder, overHTTP).Refused)
		})
	}
}

func TestForgedDatagramsTakeNoCountedHostsPlace(t *testing.T) {
	cfg := config(newClock())
	cfg.MaxHosts = 20
	h := newHosts(t, cfg)
	for i := range 20 {
		require.Equal(t, 2, admitted(h, stranger(i), 2))
	}
	for i := range 1000 {
		h.CheckUnverified(stranger(1000+i), overCoAP)
		h.Discard(stranger(5000+i), overCoAP)
	}
	for i := range 20 {
		require.Equal(t, 1, admitted(h, stranger(i), 5), "host %d kept its count", i)
	}
	require.Zero(t, h.Stats().Evicted)
	require.EqualValues(t, 1000, h.Stats().Overflowed)
}

func TestACountedHostTakesAForgedOnesPlace(t *testing.T) {
	cfg := config(newClock())
	cfg.MaxHosts = 20
	h := newHosts(t, cfg)
	for i := range 20 {
		for range 5 { // over its quota, for all that forged datagrams prove
			h.CheckUnverified(stranger(1000+i), overCoAP)
		}
	}
	for i := range 20 {
		require.Equal(t, 3, admitted(h, stranger(i), 5), "host %d", i)
	}
	require.EqualValues(t, 20, h.Stats().Evicted)
}

func TestTheLeastActiveGoesFirst(t *testing.T) {
	tests := []struct {
		name string
		fill func(h *quota.Hosts, c *clock) // leaves four hosts, stranger(0) the first to go
	}{
		{"expired before live", func(h *quota.Hosts, c *clock) {
			admitted(h, stranger(0), 3)
			c.move(minute)
			for i := 1; i < 4; i++ {
				h.Check(stranger(i), overHTTP)
			}
		}},
		{"forged before counted", func(h *quota.Hosts, c *clock) {
			for i := 1; i < 4; i++ {
				h.Check(stranger(i), overHTTP)
			}
			c.move(time.Second)
			h.CheckUnverified(stranger(0), overCoAP)
		}},
		{"admitted less before more", func(h *quota.Hosts, c *clock) {
			for i := 1; i < 4; i++ {
				admitted(h, stranger(i), 2)
			}
			c.move(time.Second)
			h.Check(stranger(0), overHTTP)
		}},
		{"silent for longer", func(h *quota.Hosts, c *clock) {
			for i := range 4 {
				h.Check(stranger(i), overHTTP)
				c.move(time.Second)
			}
		}},
		{"all but one refused", func(h *quota.Hosts, c *clock) {
			admitted(h, stranger(0), 3)
			c.move(time.Second)
			for i := 1; i < 4; i++ {
				admitted(h, stranger(i), 4)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newClock()
			cfg := config(c)
			cfg.MaxHosts = 4
			h := newHosts(t, cfg)
			tt.fill(h, c)
			require.Equal(t, 4, h.Stats().Hosts)
			h.Check(key("192.0.2.1"), overHTTP)
			for i := range 4 {
				_, kept := h.Lookup(stranger(i))
				require.Equal(t, i != 0, kept, "host %d", i)
			}
		})
	}
}

func TestWhereAllAreRefusedNewcomersShareOneBudget(t *testing.T) {
	c := newClock()
	cfg := config(c)
	cfg.MaxHosts = 10
	h := newHosts(t, cfg)
	for i := range 10 {
		require.Equal(t, 3, admitted(h, stranger(i), 4))
	}
	passed := 0
	for i := range 50 {
		k := stranger(100 + i)
		foreseen := h.Peek(k, overHTTP)
		d := h.Check(k, overHTTP)
		require.Equal(t, foreseen.Refused, d.Refused)
		require.Same(t, h.Policy(), d.Policy)
		require.Equal(t, minute, d.Reset)
		if !d.Refused {
			passed++
		}
	}
	require.Equal(t, 3, passed, "one budget for them all")
	require.Equal(t, 10, h.Stats().Hosts)
	require.Positive(t, h.Stats().Overflowed)
	for i := range 10 {
		require.True(t, h.Check(stranger(i), overHTTP).Refused)
	}
	require.Equal(t, 10, h.Stats().Spells, "who found no room begins no spell")

	c.move(minute)
	require.Equal(t, 3, admitted(h, stranger(200), 9), "there is room again")
}

// One of 200 could make room, but is not always among the few looked at. A peek
// that misses it must not come upon it while it counts its refusal.
func TestAPeekThatFindsNoRoomChargesNobody(t *testing.T) {
	cfg := config(newClock())
	cfg.MaxHosts = 200
	h := newHosts(t, cfg)
	for i := range 199 {
		require.Equal(t, 3, admitted(h, stranger(i), 4))
	}
	h.Check(stranger(199), overHTTP)
	for i := 1000; h.Stats().Overflowed < 4; i++ { // until the shared window is spent
		h.Check(stranger(i), overHTTP)
	}
	before, refused := h.Stats(), 0
	for i := range 200 {
		if d := h.Peek(stranger(5000+i), overHTTP); d.Refused {
			refused++
		}
	}
	after := h.Stats()
	require.Positive(t, refused)
	require.Less(t, refused, 200, "the one is among those looked at now and then")
	require.Equal(t, before.Evicted, after.Evicted)
	require.EqualValues(t, refused, after.Overflowed-before.Overflowed)
}

func TestNoCheckAllocates(t *testing.T) {
	c := newClock()
	cfg := config(c)
	cfg.MaxHosts = 2000
	h := newHosts(t, cfg)
	i := 0
	for ; i < 20_000; i++ {
		h.Check(stranger(i), overHTTP)
	}
	known, refused := key("192.0.2.1"), key("192.0.2.2")
	admitted(h, refused, 9)
	tests := []struct {
		name string
		do   func()
	}{
		{"hit", func() { c.move(minute); h.Check(known, overHTTP) }},
		{"refusal", func() { h.Check(refused, overHTTP) }},
		{"peek", func() { h.Peek(known, overHTTP) }},
		{"unverified hit", func() { h.CheckUnverified(known, overCoAP) }},
		{"discard", func() { h.Discard(known, overCoAP) }},
		{"eviction", func() { i++; h.Check(stranger(i), overHTTP) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			admitted(h, refused, 9)
			require.Zero(t, testing.AllocsPerRun(200, tt.do))
		})
	}
}

func TestAnInsertIntoASegmentThatHasRoomAllocatesNothing(t *testing.T) {
	h := newHosts(t, config(newClock()))
	i := 0
	insert := func() { h.Check(stranger(i), overHTTP); i++ }
	for range 600 { // the array has grown to 1024 or its last size then
		insert()
	}
	require.Zero(t, testing.AllocsPerRun(200, insert))
}
