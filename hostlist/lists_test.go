package hostlist_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/weirgate/weir/hostlist"
)

func TestMostSpecificWins(t *testing.T) {
	tests := []struct {
		name        string
		allow, deny string
		host        string
		want        hostlist.Verdict
		by          string
	}{
		{"empty lists", "", "", "10.0.0.1", hostlist.Neutral, ""},
		{"allowed", "10.0.0.1", "", "10.0.0.1", hostlist.Allowed, "10.0.0.1"},
		{"another host", "10.0.0.1", "10.0.0.2", "10.0.0.3", hostlist.Neutral, ""},
		{"denied by prefix", "", "10.0.0.0/8", "10.9.9.9", hostlist.Denied, "10.0.0.0/8"},
		{"allowed within a denied prefix", "10.1.0.0/16", "10.0.0.0/8", "10.1.2.3", hostlist.Allowed, "10.1.0.0/16"},
		{"denied within an allowed prefix", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", hostlist.Denied, "10.1.0.0/16"},
		{"tie", "10.0.0.0/8", "10.0.0.0/8", "10.1.2.3", hostlist.Allowed, "10.0.0.0/8"},
		{"tie of addresses", "10.0.0.1", "10.0.0.1/32", "10.0.0.1", hostlist.Allowed, "10.0.0.1"},
		{"every host denied but one", "10.0.0.1", "0.0.0.0/0", "10.0.0.1", hostlist.Allowed, "10.0.0.1"},
		{"an IPv6 prefix is no IPv4 host's", "", "::/0", "10.0.0.1", hostlist.Neutral, ""},
		{"within a range", "", "10.0.0.1-10.0.0.9", "10.0.0.9", hostlist.Denied, "10.0.0.1-10.0.0.9"},
		{"beyond a range", "", "10.0.0.1-10.0.0.9", "10.0.0.10", hostlist.Neutral, ""},
		{"below a range", "", "10.0.0.1-10.0.0.9", "10.0.0.0", hostlist.Neutral, ""},
		{"a part of a range beats a prefix", "10.0.0.0/30", "10.0.0.2-10.0.0.9", "10.0.0.2", hostlist.Denied, "10.0.0.2-10.0.0.9"},
		{"a range's wide part gives way", "10.0.0.4/31", "10.0.0.2-10.0.0.9", "10.0.0.5", hostlist.Allowed, "10.0.0.4/31"},
		{"IPv6 range", "", "2001:db8::1-2001:db8::ffff:0", "2001:db8::ffff:0", hostlist.Denied, "2001:db8::1-2001:db8::ffff:0"},
		{"every IPv6 host by range", "", "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db8::1", hostlist.Denied, "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		{"v4 in v6 listed", "", "::ffff:10.0.0.0/104", "10.0.0.1", hostlist.Denied, "10.0.0.0/8"},
		{"localhost", "localhost", "", "127.0.0.1", hostlist.Allowed, "localhost"},
		{"localhost by IPv6", "localhost", "", "::1", hostlist.Allowed, "localhost"},
		{"other loopback", "localhost", "", "127.0.0.2", hostlist.Neutral, ""},
		{"denied localhost", "", "localhost", "127.0.0.1", hostlist.Denied, "localhost"},
		{"a denied name beats no allow", "127.0.0.0/8", "localhost", "127.0.0.1", hostlist.Allowed, "127.0.0.0/8"},
		{"a denied name and a denied prefix", "0.0.0.0/0", "localhost,127.0.0.0/8", "127.0.0.1", hostlist.Denied, "127.0.0.0/8"},
		{"an allowed name beats a prefix", "localhost", "127.0.0.0/8", "127.0.0.1", hostlist.Allowed, "localhost"},
		{"an allowed name ties with an address", "localhost", "127.0.0.1", "127.0.0.1", hostlist.Allowed, "localhost"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := hostlist.New(&hostlist.Config{})
			l.Set(entries(t, tt.allow), entries(t, tt.deny))
			host := netip.MustParseAddr(tt.host)
			require.Equal(t, tt.want, l.Verdict(host))
			m := l.Match(host)
			require.Equal(t, tt.want, m.Verdict)
			require.Equal(t, tt.by, m.Entry.String())
			if tt.want == hostlist.Denied {
				require.Equal(t, hostlist.Deny, m.List)
			}
		})
	}
}

func TestVerdictOfNobody(t *testing.T) {
	l := hostlist.New(&hostlist.Config{})
	l.Set(nil, entries(t, "0.0.0.0/0,::/0"))
	require.Equal(t, hostlist.Neutral, l.Verdict(netip.Addr{}))
	require.Equal(t, hostlist.Match{}, l.Match(netip.Addr{}))
	require.Equal(t, hostlist.Denied, l.Match(netip.MustParseAddr("::ffff:10.0.0.1%x")).Verdict, "Match takes any form")
}

func TestSetReplacesAtOneStroke(t *testing.T) {
	l := hostlist.New(&hostlist.Config{})
	a, b := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	l.Set(entries(t, "10.0.0.1"), entries(t, "10.0.0.2,localhost"))
	require.Equal(t, hostlist.Stats{Allow: 1, Deny: 2, Prefixes: 4, Names: 1}, l.Stats())

	l.Set(entries(t, "10.0.0.2"), []hostlist.Entry{entry(t, "10.0.0.1"), {}})
	require.Equal(t, hostlist.Denied, l.Verdict(a))
	require.Equal(t, hostlist.Allowed, l.Verdict(b))
	require.Equal(t, hostlist.Stats{Allow: 1, Deny: 1, Prefixes: 2}, l.Stats(), "the zero entry is left out")

	l.Set(nil, nil)
	require.Equal(t, hostlist.Neutral, l.Verdict(a))
	require.Zero(t, l.Stats())
}

func TestPutAndDelete(t *testing.T) {
	l := hostlist.New(&hostlist.Config{})
	host := netip.MustParseAddr("10.0.0.1")
	ban := entry(t, "10.0.0.1")
	ban.Reason = "flood"

	require.NoError(t, l.Put(hostlist.Deny, ban))
	require.Equal(t, hostlist.Match{Verdict: hostlist.Denied, Entry: ban, List: hostlist.Deny}, l.Match(host))
	require.Equal(t, hostlist.Denied, l.Verdict(host))

	l.Set(nil, entries(t, "10.0.0.1"))
	require.Equal(t, 2, l.Stats().Deny, "a Set leaves what was put")
	require.True(t, l.Delete(hostlist.Deny, ban))
	require.False(t, l.Delete(hostlist.Deny, ban))
	require.Equal(t, hostlist.Denied, l.Verdict(host), "a Delete leaves what was set")
	require.False(t, l.Delete(hostlist.Allow, ban))

	require.NoError(t, l.Put(hostlist.Allow, entry(t, "10.0.0.1/32")))
	require.Equal(t, hostlist.Allowed, l.Verdict(host), "allow beats deny across both sources")
	l.Set(nil, nil)
	require.True(t, l.Delete(hostlist.Allow, ban))
	require.Zero(t, l.Stats())

	require.ErrorIs(t, l.Put(hostlist.Deny, hostlist.Entry{}), hostlist.ErrEntry)
	require.False(t, l.Delete(hostlist.Deny, hostlist.Entry{}))
	require.False(t, l.Delete(hostlist.Deny, entry(t, "name.example")))
}

func TestPutIsBounded(t *testing.T) {
	l := hostlist.New(&hostlist.Config{MaxPut: 66})
	require.NoError(t, l.Put(hostlist.Deny, entry(t, "name.example")), "a name is 64")
	require.ErrorIs(t, l.Put(hostlist.Deny, entry(t, "10.0.0.1-10.0.0.4")), hostlist.ErrFull, "a range is its prefixes: 3")
	require.NoError(t, l.Put(hostlist.Deny, entry(t, "10.0.0.1-10.0.0.3")))
	require.Equal(t, 66, l.Stats().Put)
	require.ErrorIs(t, l.Put(hostlist.Deny, entry(t, "10.0.0.9")), hostlist.ErrFull)
	require.NoError(t, l.Put(hostlist.Deny, entry(t, "10.0.0.1-10.0.0.3")), "what is listed may be put again")
	require.True(t, l.Delete(hostlist.Deny, entry(t, "name.example")))
	require.NoError(t, l.Put(hostlist.Deny, entry(t, "10.0.0.9")))
	require.Equal(t, 3, l.Stats().Put)
}

func TestReasonIsBounded(t *testing.T) {
	l := hostlist.New(&hostlist.Config{})
	ban := entry(t, "10.0.0.1")
	for len(ban.Reason) <= hostlist.MaxReason {
		ban.Reason += "äöü"
	}
	require.NoError(t, l.Put(hostlist.Deny, ban))
	kept := l.Match(netip.MustParseAddr("10.0.0.1")).Entry.Reason
	require.LessOrEqual(t, len(kept), hostlist.MaxReason)
	require.Contains(t, ban.Reason, kept)
}

func TestEntriesExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := hostlist.New(&hostlist.Config{})
		run(t, l)
		host := netip.MustParseAddr("10.0.0.1")
		ban := entry(t, "10.0.0.1")

		ban.Expires = time.Now().Add(time.Minute)
		require.NoError(t, l.Put(hostlist.Deny, ban))
		later := entry(t, "10.0.0.0/24")
		later.Expires = time.Now().Add(2 * time.Minute)
		l.Set([]hostlist.Entry{later}, nil)
		require.Equal(t, hostlist.Denied, l.Verdict(host))

		passes(time.Minute - time.Millisecond)
		require.Equal(t, hostlist.Denied, l.Verdict(host))
		passes(2 * time.Millisecond)
		require.Equal(t, hostlist.Allowed, l.Verdict(host))
		passes(time.Minute)
		require.Equal(t, hostlist.Neutral, l.Verdict(host))
		require.Zero(t, l.Stats())
		l.Set(nil, nil)
		require.Zero(t, l.Stats(), "what has expired is not taken off again")
	})
}

func TestAnEarlierExpiryIsNotMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := hostlist.New(&hostlist.Config{})
		run(t, l)
		for _, d := range []time.Duration{time.Hour, time.Second / 2, time.Minute} {
			e := entry(t, "10.0.0.0/8")
			e.Expires = time.Now().Add(d)
			require.NoError(t, l.Put(hostlist.Deny, e))
			synctest.Wait()
		}
		first := entry(t, "10.0.0.1")
		first.Expires = time.Now().Add(time.Millisecond)
		require.NoError(t, l.Put(hostlist.Allow, first))
		passes(2 * time.Millisecond)
		require.Equal(t, hostlist.Denied, l.Verdict(netip.MustParseAddr("10.0.0.1")))
		passes(time.Minute - time.Second)
		require.Equal(t, hostlist.Denied, l.Verdict(netip.MustParseAddr("10.0.0.1")), "the last Put of an entry counts")
		passes(time.Second)
		require.Zero(t, l.Stats())
	})
}

func TestAnExpiredEntryIsNeverListed(t *testing.T) {
	l := hostlist.New(&hostlist.Config{MaxPut: 1})
	old := entry(t, "10.0.0.1")
	old.Expires = time.Now().Add(-time.Second)
	require.NoError(t, l.Put(hostlist.Deny, old))
	l.Set([]hostlist.Entry{old}, nil)
	require.Zero(t, l.Stats())
	require.Equal(t, hostlist.Neutral, l.Verdict(netip.MustParseAddr("10.0.0.1")))
}

func TestExpiryFollowsAClockSetForward(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		l := hostlist.New(&hostlist.Config{Now: func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			return now
		}})
		run(t, l)
		e := entry(t, "10.0.0.1")
		e.Expires = now.Add(time.Hour)
		require.NoError(t, l.Put(hostlist.Deny, e))
		mu.Lock()
		now = now.Add(time.Hour)
		mu.Unlock()
		passes(time.Second)
		require.Equal(t, hostlist.Neutral, l.Verdict(netip.MustParseAddr("10.0.0.1")))
	})
}

// TestVerdictIsTheModels holds the table, however it was changed, against a walk
// over all entries.
func TestVerdictIsTheModels(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := hostlist.New(&hostlist.Config{})
		m := &model{put: map[string]hostlist.List{}}
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				m.set[hostlist.Allow] = rapid.SliceOfN(anyEntry(), 0, 6).Draw(t, "allow")
				m.set[hostlist.Deny] = rapid.SliceOfN(anyEntry(), 0, 6).Draw(t, "deny")
				l.Set(m.set[hostlist.Allow], m.set[hostlist.Deny])
			},
			"put": func(t *rapid.T) {
				list, e := anyList(t), anyEntry().Draw(t, "entry")
				require.NoError(t, l.Put(list, e))
				m.put[fmt.Sprint(list, " ", e)] = list
			},
			"delete": func(t *rapid.T) {
				list, e := anyList(t), anyEntry().Draw(t, "entry")
				_, there := m.put[fmt.Sprint(list, " ", e)]
				require.Equal(t, there, l.Delete(list, e))
				delete(m.put, fmt.Sprint(list, " ", e))
			},
			"": func(t *rapid.T) {
				addr := hostlist.Canonical(anyAddr().Draw(t, "host"))
				want := m.verdict(addr)
				require.Equal(t, want, l.Verdict(addr), "%v", addr)
				require.Equal(t, want, l.Match(addr).Verdict)
			},
		})
		for k, list := range m.put {
			_, text, _ := cut(k)
			e, err := hostlist.ParseEntry(text)
			require.NoError(t, err)
			require.True(t, l.Delete(list, e))
		}
		l.Set(nil, nil)
		require.Zero(t, l.Stats(), "nothing is left behind")
	})
}

func TestVerdictAllocatesNothing(t *testing.T) {
	l := hostlist.New(&hostlist.Config{})
	l.Set(entries(t, "10.0.0.0/8,2001:db8::/32"), entries(t, "localhost,10.0.0.1-10.0.0.99"))
	for _, s := range []string{"10.0.0.1", "127.0.0.1", "192.0.2.1", "2001:db8::1", "fe80::1"} {
		addr := netip.MustParseAddr(s)
		require.Zero(t, testing.AllocsPerRun(100, func() { l.Verdict(addr) }), s)
	}
}

// TestReadersSeeWholeSets swaps a host from one list to the other: it is never
// on neither.
func TestReadersSeeWholeSets(t *testing.T) {
	l := hostlist.New(&hostlist.Config{})
	run(t, l)
	one, other := entries(t, "10.0.0.1,localhost"), entries(t, "10.0.0.2")
	l.Set(one, other)
	host := netip.MustParseAddr("10.0.0.1")
	var writers, readers sync.WaitGroup
	stop := make(chan struct{})
	failed := make(chan error, 4)
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if l.Verdict(host) == hostlist.Neutral || l.Match(host).Verdict == hostlist.Neutral {
					failed <- errors.New("the host was on neither list")
					return
				}
			}
		})
	}
	writers.Go(func() {
		for range 500 {
			l.Set(other, one)
			l.Set(one, other)
		}
	})
	for i := range 2 {
		writers.Go(func() {
			for n := range 500 {
				e := entry(t, fmt.Sprintf("192.0.2.%d", n%50))
				e.Expires = time.Now().Add(time.Duration(n%3) * time.Millisecond)
				if err := l.Put(hostlist.List(i), e); err != nil {
					failed <- err
				}
				l.Delete(hostlist.List(i), e)
				l.Stats()
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
	close(failed)
	for err := range failed {
		require.NoError(t, err)
	}
}

// entry is ParseEntry of a text that is known to be good.
func entry(t require.TestingT, s string) hostlist.Entry {
	e, err := hostlist.ParseEntry(s)
	require.NoError(t, err)
	return e
}

func entries(t require.TestingT, s string) []hostlist.Entry {
	list, err := hostlist.ParseEntries(s)
	require.NoError(t, err)
	return list
}

// run runs l until the test's end.
func run(t *testing.T, l *hostlist.Lists) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
}

// passes lets time pass in a synctest bubble and everybody come to rest.
func passes(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}
