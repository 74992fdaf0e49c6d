package quota

import (
	"net/netip"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// segmentOf is a table of one segment.
func segmentOf(maxHosts int) cursor {
	t := newTable(maxHosts)
	return cursor{t, &t.segments[0]}
}

// White-box: tags whose homes collide on purpose cannot be had through Hosts,
// whose permutation is secret. Keys are read back from tags nevertheless.
func TestASegmentIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := segmentOf(rapid.IntRange(1, 300).Draw(t, "capacity"))
		want := map[uint64]uint32{}
		tags := rapid.Custom(func(t *rapid.T) uint64 { // few homes, both ends of the array among them
			home := rapid.SampledFrom([]uint64{0, 1 << 62, 1<<64 - 1<<20}).Draw(t, "home")
			return home + rapid.Uint64Range(2, 400).Draw(t, "tag")
		})
		place := func(tag uint64) (place, bool) {
			if c.pages == 0 {
				return place{}, false
			}
			return c.search(tag)
		}
		t.Repeat(map[string]func(*rapid.T){
			"insert": func(t *rapid.T) {
				for range rapid.IntRange(1, 60).Draw(t, "n") {
					tag := tags.Draw(t, "tag")
					if _, ok := want[tag]; ok || c.live == c.capacity {
						continue
					}
					want[tag] = uint32(len(want))
					c.insert(c.key(tag), tag).carried = want[tag]
				}
			},
			"remove": func(t *rapid.T) {
				for range rapid.IntRange(1, 60).Draw(t, "n") {
					tag := tags.Draw(t, "tag")
					if p, ok := place(tag); ok {
						require.Equal(t, want[tag], c.remove(p).requests)
						delete(want, tag)
					}
				}
			},
			"compact": func(*rapid.T) { c.compact() },
			"resize": func(*rapid.T) {
				if pages := pagesFor(c.segment.slots) + 1; pages*len(c.segments) <= len(c.memory.hot) {
					c.resize(pages)
				}
			},
			"": func(t *rapid.T) {
				require.Equal(t, len(want), c.segment.slots)
				hosts := map[uint64]bool{}
				for tag, n := range want {
					hosts[tag>>1] = true
					e := c.find(tag)
					require.True(t, e.ok())
					require.Equal(t, n, e.requests())
					if got := c.table.find(tag); got.ok() { // nil: farther than it looks
						require.Equal(t, e, got)
					}
				}
				require.Equal(t, len(hosts), c.live)
				for tag := uint64(2); tag < 402; tag++ {
					if _, ok := want[tag]; !ok {
						require.False(t, c.find(tag).ok())
						require.False(t, c.table.find(tag).ok())
					}
				}
				used := uint32(0)
				for _, n := range c.uses {
					used += n
				}
				require.EqualValues(t, c.pages, used)
			},
		})
	})
}

func TestASegmentKeepsNoMoreMemoryThanItNeeds(t *testing.T) {
	c := segmentOf(segmentHosts)
	key := func(i uint32) Key { return Key{lo: v4Mark | uint64(i)} }
	for i := range uint32(segmentHosts) {
		c.insert(key(i), c.tagOf(key(i), own))
	}
	require.Equal(t, pagesFor(segmentHosts), c.pages)
	require.LessOrEqual(t, 2*c.pages*pageBytes, 46*segmentHosts)
	for i := range uint32(segmentHosts - 1) {
		p, ok := c.search(c.tagOf(key(i), own))
		require.True(t, ok)
		c.remove(p)
	}
	c.compact()
	require.Equal(t, 1, c.pages)
	last := c.tagOf(key(segmentHosts-1), own)
	require.True(t, c.find(last).ok())
	require.Equal(t, c.find(last), c.table.find(last), "without the lock too")
	p, _ := c.search(last)
	c.remove(p)
	c.compact()
	require.Zero(t, c.pages)
	require.Zero(t, c.uses[0])
	require.False(t, c.find(last).ok())
	require.False(t, c.table.find(last).ok())
}

func TestATableSharesOutExactlyMaxHosts(t *testing.T) {
	for _, maxHosts := range []int{1, 2, 1023, 1024, 1025, 50_000, 4_000_000} {
		table := newTable(maxHosts)
		total := 0
		for i := range table.segments {
			n := table.segments[i].capacity
			require.Positive(t, n)
			require.LessOrEqual(t, n, segmentHosts)
			total += n
		}
		require.Equal(t, maxHosts, total)
		for i := range uint64(1000) {
			tag := table.tagOf(Key{i, i}, own)
			require.NotZero(t, tag)
			require.Same(t, table.segment(tag), table.segment(table.tagOf(Key{i, i}, unverified)))
		}
	}
}

func TestASlotIsHalfACacheLine(t *testing.T) {
	require.EqualValues(t, 32, unsafe.Sizeof(hot{})+unsafe.Sizeof(cold{}))
	require.EqualValues(t, 64, unsafe.Sizeof(bucket{}))
	require.Equal(t, 1024, pageBytes)
	require.EqualValues(t, pageBytes, unsafe.Sizeof(coldPage{}))
}

func TestATagIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newSpread()
		x := rapid.Uint64Range(0, regionNone<<regionShift-1).Draw(t, "folded")
		tag := s.tag(x)
		require.NotZero(t, tag)
		require.Zero(t, tag&1)
		require.Equal(t, x, s.folded(tag))
		require.Equal(t, x, s.folded(tag|1))
	})
}

func TestHostsAreFoldedExactlyOrKeptByName(t *testing.T) {
	tests := []struct {
		addr   string
		prefix int
		region uint64
	}{
		{"0.0.0.0", 64, regionSmall},
		{"255.255.255.255", 64, regionSmall},
		{"2000::", 64, regionExact},
		{"3fff:ffff:ffff:ffff:ffff::", 64, regionExact},
		{"2001:db8::1", 3, regionExact},
		{"4000::", 64, regionNamed},
		{"fe80::1", 64, regionNamed},
		{"fd00::1", 64, regionNamed},
		{"::1", 64, regionNamed},
		{"ffff::1", 1, regionNamed},
	}
	for _, tt := range tests {
		t.Run(tt.addr, func(t *testing.T) {
			c := segmentOf(10)
			k := HostKey(netip.MustParseAddr(tt.addr), tt.prefix)
			require.Equal(t, tt.region, c.fold(k)>>regionShift)
			for _, b := range []budget{own, unverified} {
				c.insert(k, c.tagOf(k, b))
			}
			for _, b := range []budget{unverified, own} {
				require.Equal(t, k, c.key(c.tagOf(k, b)))
				p, ok := c.search(c.tagOf(k, b))
				require.True(t, ok)
				c.remove(p)
			}
			require.Empty(t, c.names, "a name goes with its last slot")
		})
	}
}

func TestAStateIsAWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := rapid.Int64Range(-1<<45, 1<<45).Draw(t, "now")
		w := window{
			start:    now - rapid.Int64Range(-maxWindow+1, maxWindow).Draw(t, "age"),
			used:     rapid.Uint32Range(0, maxUsed).Draw(t, "used"),
			refusing: rapid.Bool().Draw(t, "refusing"),
		}
		if v := pack(w); w.used > 0 || w.refusing {
			require.Equal(t, w, unpack(v, now))
		} else {
			require.Zero(t, v)
		}
	})
}

func TestSeenKeepsWhatItIsGiven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		last := rapid.Int64Range(-1<<47, 1<<47-1).Draw(t, "last")
		o := Origin(rapid.Uint8().Draw(t, "origins"))
		v := packSeen(last, o, rapid.Uint64().Draw(t, "generation"))
		require.Equal(t, last, lastSeen(v))
		require.Equal(t, o, originsOf(v))
		require.Equal(t, packSeen(last+5, o|4, v), saw(v, last+5, 4))
	})
}

// White-box: four million requests are too many for a test.
func TestACountThatOutgrowsItsStateIsExact(t *testing.T) {
	const limit = maxUsed + 5
	now := int64(1e12)
	c := fixedClock(&now)
	h, err := NewHosts(&HostsConfig{
		Enabled: true, Limit: limit, Interval: 60e9, TTL: 60e9, CleanPeriod: 60e9, MaxHosts: 4, Clock: c,
	})
	require.NoError(t, err)
	k := HostKey(netip.MustParseAddr("192.0.2.1"), 64)
	h.Check(k, 1)
	e := h.table.find(h.table.tagOf(k, own))
	e.state.Store(e.state.Load() + maxUsed - 3)
	for i := range uint32(10) {
		d := h.Check(k, 1)
		require.Equal(t, min(maxUsed-2+i+1, limit), d.Used)
		require.Equal(t, maxUsed-2+i >= limit, d.Refused)
		require.Equal(t, d.Used, h.Peek(k, 1).Used)
		h.Sweep()
	}
	st, _ := h.Lookup(k)
	require.EqualValues(t, limit, st.Own.Used)
	require.True(t, st.Exceeded)
	require.EqualValues(t, maxUsed-2+10+4, st.Requests, "four peeks were refused")
	require.EqualValues(t, st.Requests, h.Report(1).Requests)
	require.Len(t, h.table.segments[0].long, 1)
	now += 60_000
	require.EqualValues(t, 1, h.Check(k, 1).Used)
	require.Empty(t, h.table.segments[0].long)
}

type fixed struct{ ms *int64 }

func fixedClock(ms *int64) Clock { return fixed{ms} }

func (f fixed) Now() time.Time { return time.UnixMilli(*f.ms) }
