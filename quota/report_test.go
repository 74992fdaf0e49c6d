package quota_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/quota"
)

func TestAFloodThatStoppedBeforeTheReport(t *testing.T) {
	c := newClock()
	cfg := config(c)
	cfg.MaxHosts = 500
	h := newHosts(t, cfg)
	flooder := key("203.0.113.9")
	for range 5000 {
		h.Check(flooder, overMQTT)
	}
	seen := c.Now()
	c.move(70 * time.Second)
	h.Sweep() // it is silent and forgotten
	for i := range 2000 {
		h.Check(stranger(i), overHTTP) // and its place was taken
	}
	c.move(50 * time.Second)

	r := h.Report(2)
	require.Equal(t, 2*minute, r.To.Sub(r.From))
	require.EqualValues(t, 7000, r.Requests)
	require.EqualValues(t, 4997, r.Refused)
	require.EqualValues(t, 2001, r.Hosts)
	require.Equal(t, quota.Entry{
		Key: flooder, Requests: 5000, Refused: 4997, Origins: overMQTT, LastSeen: seen,
	}, r.Top[0])
	require.EqualValues(t, 1, r.Top[1].Requests)

	next := h.Report(2)
	require.Equal(t, r.To, next.From)
	require.Zero(t, next.Requests)
	require.Zero(t, next.Hosts)
	require.Empty(t, next.Top, "told once")
}

func TestAHostThatCameBackIsToldOnce(t *testing.T) {
	c := newClock()
	h := newHosts(t, config(c))
	k := key("192.0.2.1")
	for range 3 {
		admitted(h, k, 10)
		c.move(minute)
		h.Sweep()
	}
	h.Discard(k, overCoAP)
	for _, r := range []quota.Report{h.Top(5), h.Top(5), h.Report(5)} {
		require.EqualValues(t, 31, r.Requests)
		require.EqualValues(t, 22, r.Refused)
		require.EqualValues(t, 1, r.Hosts)
		require.Equal(t, []quota.Entry{{
			Key: k, Requests: 31, Refused: 22, Origins: overHTTP | overCoAP, LastSeen: c.Now(),
		}}, r.Top)
	}
	require.Zero(t, h.Top(5).Requests)
}

func TestTheTopIsOrdered(t *testing.T) {
	h := newHosts(t, config(newClock()))
	ask := func(k quota.Key, times, discarded int) {
		for i := range times {
			if i < discarded {
				h.Discard(k, overHTTP)
			} else {
				h.CheckUnverified(k, overHTTP)
			}
		}
	}
	ask(stranger(7), 2, 0)
	ask(stranger(6), 3, 0)
	ask(stranger(5), 2, 0)
	ask(stranger(4), 2, 1)
	want := []quota.Key{stranger(6), stranger(4), stranger(5), stranger(7)}
	for n := range 6 {
		var got []quota.Key
		for _, e := range h.Top(n).Top {
			got = append(got, e.Key)
		}
		require.Equal(t, want[:min(n, 4)], append([]quota.Key{}, got...), "top %d", n)
	}
	require.Empty(t, h.Top(-1).Top)
}

func TestTheTopOfManyIsTheTop(t *testing.T) {
	cfg := config(newClock())
	cfg.MaxHosts = 20_000
	h := newHosts(t, cfg)
	for i := range 10_000 {
		for range 1 + i%97 {
			h.Discard(stranger(i), overHTTP)
		}
	}
	top := h.Report(150).Top
	require.Len(t, top, 150)
	for i, e := range top {
		want := uint64(97)
		if i >= 103 { // of 10,000 hosts 103 are 96 modulo 97, and 103 are 95
			want = 96
		}
		require.Equal(t, want, e.Requests, "place %d", i)
	}
}

func TestAReportWhoseClockWasSetBack(t *testing.T) {
	c := newClock()
	h := newHosts(t, config(c))
	h.Check(key("192.0.2.1"), overHTTP)
	c.move(-time.Hour)
	top := h.Top(1)
	require.Equal(t, top.To, top.From)
	r := h.Report(1)
	require.Equal(t, r.To, r.From)
	require.EqualValues(t, 1, r.Requests)
	c.move(minute)
	require.Equal(t, r.To, h.Report(1).From)
}

func TestOfManyForgottenTheBusiestAreNamed(t *testing.T) {
	c := newClock()
	cfg := config(c)
	cfg.MaxHosts = 5000
	h := newHosts(t, cfg)
	for i := range 2000 {
		for range 1 + i%500 {
			h.Check(stranger(i), overHTTP)
		}
	}
	c.move(minute)
	h.Sweep()
	require.Zero(t, h.Stats().Hosts)
	r := h.Report(1000)
	require.EqualValues(t, 2000, r.Hosts)
	require.EqualValues(t, 4*500*501/2, r.Requests)
	require.Len(t, r.Top, 256, "the list of the forgotten is bounded")
	require.EqualValues(t, 500, r.Top[0].Requests)
	require.EqualValues(t, 437, r.Top[255].Requests)
}
