package hostlist_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/hostlist"
)

// resolver answers look-ups from a table, and counts them.
type resolver struct {
	mu      sync.Mutex
	answers map[string]string // "" fails
	asked   map[string]int
	busy    int
	busiest int
	takes   time.Duration // how long a look-up takes
}

func (r *resolver) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if network != "ip" {
		return nil, errors.New("both families are wanted")
	}
	r.enter(host)
	defer r.exit()
	if r.takes > 0 {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(r.takes):
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	text := r.answers[host]
	if text == "" {
		return nil, errors.New("no such host")
	}
	var addrs []netip.Addr
	for s := range strings.SplitSeq(text, ",") {
		addrs = append(addrs, netip.MustParseAddr(s))
	}
	return addrs, nil
}

func (r *resolver) enter(host string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.asked == nil {
		r.asked = map[string]int{}
	}
	r.asked[host]++
	r.busy++
	r.busiest = max(r.busiest, r.busy)
}

func (r *resolver) exit() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.busy--
}

func (r *resolver) say(host, addrs string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers[host] = addrs
}

func (r *resolver) times(host string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked[host]
}

// lines is a log whose lines can be read while it is written.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := strings.TrimSpace(l.buf.String())
	l.buf.Reset()
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

func named(r *resolver) (*hostlist.Lists, *lines) {
	log := new(lines)
	return hostlist.New(&hostlist.Config{Resolver: r, Log: slog.New(slog.NewTextHandler(log, nil))}), log
}

func verdicts(l *hostlist.Lists, hosts ...string) string {
	var all []string
	for _, h := range hosts {
		all = append(all, l.Verdict(netip.MustParseAddr(h)).String())
	}
	return strings.Join(all, " ")
}

func TestNamesAreResolvedInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &resolver{answers: map[string]string{
			"good.example": "10.0.0.1,::ffff:10.0.0.2,64:ff9b::10.0.0.3",
			"bad.example":  "192.0.2.1",
		}}
		l, log := named(r)
		run(t, l)
		l.Set(entries(t, "good.example"), entries(t, "Bad.Example.,10.0.0.0/24"))
		synctest.Wait()
		require.Equal(t, "allowed allowed allowed denied denied neutral",
			verdicts(l, "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "192.0.2.1", "192.0.2.2"))
		require.Equal(t, "bad.example", l.Match(netip.MustParseAddr("192.0.2.1")).Entry.String())
		require.Empty(t, log.take(), "a name that works is no news")
	})
}

func TestTheAnswersAreFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &resolver{answers: map[string]string{"a.example": "10.0.0.1,10.0.0.2"}}
		l, log := named(r)
		run(t, l)
		l.Set(entries(t, "a.example"), nil)
		synctest.Wait()
		r.say("a.example", "10.0.0.2,10.0.0.3")
		passes(50 * time.Second)
		require.Equal(t, 1, r.times("a.example"), "not before nine tenths of a minute")
		passes(17 * time.Second)
		require.Equal(t, 2, r.times("a.example"))
		require.Equal(t, "neutral allowed allowed", verdicts(l, "10.0.0.1", "10.0.0.2", "10.0.0.3"))
		require.Empty(t, log.take())
	})
}

func TestTheLastGoodAnswerIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &resolver{answers: map[string]string{"a.example": "10.0.0.1"}}
		l, log := named(r)
		run(t, l)
		l.Set(entries(t, "a.example"), nil)
		synctest.Wait()
		r.say("a.example", "")
		passes(time.Hour)
		require.Equal(t, hostlist.Allowed, l.Verdict(netip.MustParseAddr("10.0.0.1")))
		require.Equal(t, 1, l.Stats().Failing)
		require.Greater(t, r.times("a.example"), 50)
		said := log.take()
		require.Len(t, said, 1, "one line a change, not one a try")
		require.Contains(t, said[0], "level=WARN")
		require.Contains(t, said[0], "a.example")
		require.Contains(t, said[0], "no such host")

		r.say("a.example", "10.0.0.2")
		passes(time.Hour)
		require.Equal(t, "neutral allowed", verdicts(l, "10.0.0.1", "10.0.0.2"))
		require.Zero(t, l.Stats().Failing)
		said = log.take()
		require.Len(t, said, 1)
		require.Contains(t, said[0], "level=INFO")
	})
}

func TestSetKeepsTheAnswersOfNamesThatStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &resolver{answers: map[string]string{"a.example": "10.0.0.1", "b.example": "10.0.0.2"}}
		l, _ := named(r)
		require.Empty(t, l.Resolve(t.Context()), "no names, no warnings")
		l.Set(entries(t, "a.example"), nil)
		require.Empty(t, l.Resolve(t.Context()))
		l.Set(entries(t, "b.example"), entries(t, "a.example"))
		require.Equal(t, "denied neutral", verdicts(l, "10.0.0.1", "10.0.0.2"))
		require.Empty(t, l.Resolve(t.Context()))
		require.Equal(t, "denied allowed", verdicts(l, "10.0.0.1", "10.0.0.2"))
		require.Equal(t, 1, r.times("a.example"))

		l.Set(nil, nil)
		require.Zero(t, l.Stats())
		l.Set(entries(t, "a.example"), nil)
		require.Equal(t, "neutral", verdicts(l, "10.0.0.1"), "a name that went is forgotten")
	})
}

func TestResolveWarnsOnceAndIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &resolver{answers: map[string]string{"a.example": "10.0.0.1"}, takes: time.Second}
		l, log := named(r)
		l.Set(entries(t, "a.example,y.example,x.example,localhost"), nil)
		start := time.Now()
		warnings := l.Resolve(t.Context())
		require.Equal(t, time.Second, time.Since(start), "all at once")
		require.Len(t, warnings, 2)
		require.Equal(t, "host name x.example does not resolve; its last known addresses stay listed: no such host", warnings[0].String())
		require.Equal(t, "y.example", warnings[1].Name)
		require.Zero(t, r.times("localhost"))

		run(t, l)
		passes(10 * time.Minute)
		require.Empty(t, log.take(), "what Resolve told is not told again")

		r.mu.Lock()
		r.takes = time.Hour
		r.mu.Unlock()
		l.Set(entries(t, "z.example"), nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start = time.Now()
		require.Empty(t, l.Resolve(ctx), "what was cut off is no answer")
		require.Equal(t, time.Second, time.Since(start))
		passes(6 * time.Second)
		require.Len(t, log.take(), 1, "Run goes on, and tells of the time-out")
	})
}

func TestASlowResolverHoldsUpNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &resolver{takes: time.Hour}
		l, log := named(r)
		run(t, l)
		for i := range 20 {
			e := entry(t, fmt.Sprintf("n%d.example", i))
			require.NoError(t, l.Put(hostlist.Deny, e))
		}
		ban := entry(t, "10.0.0.1")
		ban.Expires = time.Now().Add(time.Second)
		require.NoError(t, l.Put(hostlist.Deny, ban))
		passes(time.Second)
		require.Equal(t, hostlist.Neutral, l.Verdict(netip.MustParseAddr("10.0.0.1")), "expiry does not wait for DNS")
		passes(26 * time.Second)
		require.Len(t, log.take(), 20, "each was given up after five seconds, four at a time")
		require.Equal(t, 4, r.busiest)
	})
}

func TestAddressesOfANameAreBounded(t *testing.T) {
	var many []string
	for i := range 200 {
		many = append(many, fmt.Sprintf("10.0.0.%d", 199-i))
	}
	r := &resolver{answers: map[string]string{"many.example": strings.Join(many, ",")}}
	l, _ := named(r)
	l.Set(nil, entries(t, "many.example"))
	warnings := l.Resolve(t.Context())
	require.Len(t, warnings, 1)
	require.Contains(t, warnings[0].String(), "more addresses")
	require.Equal(t, 64, l.Stats().Prefixes)
	require.Equal(t, "denied denied neutral", verdicts(l, "10.0.0.0", "10.0.0.63", "10.0.0.64"))
}

func TestASinkholedNameDeniesNobody(t *testing.T) {
	r := &resolver{answers: map[string]string{
		"nobody.example": "0.0.0.0,::",
		"here.example":   "127.0.0.1,::1,10.0.0.1",
	}}
	l, _ := named(r)
	l.Set(nil, entries(t, "nobody.example,here.example"))
	warnings := l.Resolve(t.Context())
	require.Len(t, warnings, 2)
	require.Contains(t, warnings[0].Problem, "this machine or to no host")
	require.Equal(t, "neutral neutral neutral denied", verdicts(l, "127.0.0.1", "::1", "0.0.0.0", "10.0.0.1"))

	l.Set(entries(t, "here.example"), nil)
	require.Equal(t, "allowed allowed", verdicts(l, "127.0.0.1", "::1"), "the same name may allow this machine")
}

func TestASoftEntryComesBack(t *testing.T) {
	r := &resolver{answers: map[string]string{"a.example": "10.0.0.1"}}
	l, _ := named(r)
	l.Set(entries(t, "192.0.2.1,192.0.2.2,192.0.2.3,192.0.2.4,192.0.2.5,192.0.2.6,192.0.2.7,192.0.2.8,192.0.2.9"), entries(t, "a.example"))
	require.Empty(t, l.Resolve(t.Context()))
	host := entry(t, "10.0.0.1")
	require.NoError(t, l.Put(hostlist.Allow, host))
	require.Equal(t, "allowed", verdicts(l, "10.0.0.1"))
	require.True(t, l.Delete(hostlist.Allow, host))
	require.Equal(t, "denied", verdicts(l, "10.0.0.1"))
}

func TestANameMayExpireWhileItIsAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &resolver{answers: map[string]string{"a.example": "10.0.0.1"}, takes: 2 * time.Second}
		l, log := named(r)
		run(t, l)
		e := entry(t, "a.example")
		e.Expires = time.Now().Add(time.Second)
		require.NoError(t, l.Put(hostlist.Deny, e))
		passes(3 * time.Second)
		require.Zero(t, l.Stats())
		require.Equal(t, "neutral", verdicts(l, "10.0.0.1"))
		require.Empty(t, log.take())
	})
}
