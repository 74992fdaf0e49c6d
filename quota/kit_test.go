package quota_test

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/quota"
)

// clock is a Clock that stands until it is moved.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

const minute = time.Minute

// The origin bits of the tests.
const (
	overHTTP quota.Origin = 1 << iota
	overMQTT
	overCoAP
)

// config is a valid configuration on c: 3 requests a minute, 1000 hosts.
func config(c quota.Clock) *quota.HostsConfig {
	return &quota.HostsConfig{
		Enabled: true, Limit: 3, Interval: minute, TTL: minute, CleanPeriod: 5 * minute,
		MaxHosts: 1000, Profile: quota.ThingsBoard, Clock: c,
	}
}

func newHosts(t testing.TB, cfg *quota.HostsConfig) *quota.Hosts {
	t.Helper()
	h, err := quota.NewHosts(cfg)
	require.NoError(t, err)
	return h
}

func key(addr string) quota.Key { return quota.HostKey(netip.MustParseAddr(addr), 64) }

// stranger is the i-th of 2^24 hosts of 10.0.0.0/8.
func stranger(i int) quota.Key {
	return quota.HostKey(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 64)
}

// admitted is how many of n checks of k are admitted.
func admitted(h *quota.Hosts, k quota.Key, n int) int {
	ok := 0
	for range n {
		if !h.Check(k, overHTTP).Refused {
			ok++
		}
	}
	return ok
}

// diary keeps the transitions that it is told.
type diary struct {
	mu   sync.Mutex
	told []quota.Transition
}

func (d *diary) tell(t quota.Transition) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.told = append(d.told, t)
}

func (d *diary) all() []quota.Transition {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]quota.Transition(nil), d.told...)
}
