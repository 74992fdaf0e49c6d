package coap

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// These tests are white-box: what a full set or a turn of the wheel does cannot
// be reached through a socket in reasonable time.

func TestAFullSetGivesWayToTheLeastUseful(t *testing.T) {
	start := time.Unix(1000, 0)
	d := newDedup(start)
	hash := func(i uint64) uint64 { return i*dedupSets + 5 } // all of one set
	known := func(i uint64, at time.Duration) {
		d.put(hash(i), repeat{state: answered, code: byte(i), known: true}, start.Add(at))
	}
	unknown := func(i uint64, at time.Duration) {
		d.put(hash(i), repeat{state: answered, code: byte(i)}, start.Add(at))
	}
	holds := func(at time.Duration, want ...uint64) {
		t.Helper()
		var got []uint64
		for i := uint64(1); i < 20; i++ {
			if r := d.recall(hash(i), start.Add(at)); r.state != unseen {
				require.Equal(t, byte(i), r.code)
				got = append(got, i)
			}
		}
		require.Equal(t, want, got)
	}
	known(1, 0)
	known(2, time.Second)
	unknown(3, 2*time.Second)
	unknown(4, 3*time.Second)
	holds(3*time.Second, 1, 2, 3, 4)
	unknown(5, 4*time.Second) // the older one without a good token goes
	holds(4*time.Second, 1, 2, 4, 5)
	known(6, 5*time.Second)
	known(7, 6*time.Second)
	holds(6*time.Second, 1, 2, 6, 7)
	known(8, 7*time.Second) // the oldest goes
	holds(7*time.Second, 2, 6, 7, 8)
	known(6, 8*time.Second) // a known one takes its own place
	holds(8*time.Second, 2, 6, 7, 8)
	unknown(9, 249*time.Second) // an expired one goes first
	holds(249*time.Second, 6, 7, 8, 9)
	d.become(hash(2), answered, 2, 0)
	holds(249*time.Second, 6, 7, 8, 9)
}

func TestAnEntryCountsItsRepeats(t *testing.T) {
	start := time.Unix(1000, 0)
	d := newDedup(start)
	seen := func(at time.Duration, want repeat) {
		t.Helper()
		require.Equal(t, want, d.recall(5, start.Add(at)))
	}
	seen(0, repeat{})
	d.put(5, repeat{state: waiting, known: true}, start)
	seen(0, repeat{state: waiting, known: true, times: 1})
	d.become(5, answered, 0xff, 0xfe)
	seen(0, repeat{state: answered, code: 0xff, maxAge: 0xfe, known: true, times: 2})
	d.put(5, repeat{state: waiting, known: true}, start.Add(100*time.Second)) // what it asks is asked again
	for range 20 {
		d.recall(5, start)
	}
	worn := repeat{state: waiting, known: true, times: maxRepeats + 1}
	seen(246*time.Second, worn)
	require.True(t, worn.worn())
	seen(247*time.Second, repeat{}) // its first time is what its age counts from
	d.put(5, repeat{state: answered, non: true}, start.Add(247*time.Second))
	seen(247*time.Second, repeat{state: answered, non: true, times: 1})
}

func TestTheWheel(t *testing.T) {
	start := time.Unix(1000, 0)
	due := func(w *wheel, at time.Duration) (all []int32) {
		for i := w.due(start.Add(at)); i != none; i = w.due(start.Add(at)) {
			all = append(all, i)
		}
		return all
	}
	tests := []struct {
		name string
		run  func(t *testing.T, w *wheel)
	}{
		{"never early", func(t *testing.T, w *wheel) {
			w.add(0, start.Add(time.Second))
			require.Empty(t, due(w, 999*time.Millisecond))
			require.Equal(t, []int32{0}, due(w, time.Second))
			require.Empty(t, due(w, time.Hour))
		}},
		{"removed from the middle, the head and the end of a slot", func(t *testing.T, w *wheel) {
			for i := range int32(5) {
				w.add(i, start.Add(time.Second))
			}
			w.remove(2)
			w.remove(4)
			w.remove(0)
			w.remove(0)
			require.Equal(t, []int32{3, 1}, due(w, time.Second))
		}},
		{"after a jump all are due once", func(t *testing.T, w *wheel) {
			w.add(0, start.Add(time.Second))
			w.add(1, start.Add(50*time.Second))
			require.ElementsMatch(t, []int32{0, 1}, due(w, 24*time.Hour))
			w.add(2, start.Add(24*time.Hour+time.Second))
			require.Empty(t, due(w, 24*time.Hour))
			require.Equal(t, []int32{2}, due(w, 24*time.Hour+time.Second))
		}},
		{"further than it reaches is due at its end", func(t *testing.T, w *wheel) {
			w.add(0, start.Add(time.Hour))
			require.Empty(t, due(w, (wheelSlots-2)*tick))
			require.Equal(t, []int32{0}, due(w, wheelSlots*tick))
		}},
		{"a clock that goes back waits", func(t *testing.T, w *wheel) {
			require.Empty(t, due(w, 10*time.Second))
			w.add(0, start.Add(time.Second))
			require.Empty(t, due(w, 2*time.Second))
			require.Equal(t, []int32{0}, due(w, 11*time.Second))
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, newWheel(8, start)) })
	}
}

func TestGroupAddresses(t *testing.T) {
	tests := []struct {
		addr string
		want bool
	}{
		{"224.0.1.187", true}, {"239.255.255.255", true}, {"223.255.255.255", false}, {"240.0.0.1", false},
		{"ff02::fd", true}, {"fe80::1", false}, {"::1", false}, {"::ffff:224.0.1.187", true},
	}
	for _, tt := range tests {
		t.Run(tt.addr, func(t *testing.T) {
			require.Equal(t, tt.want, address(netip.MustParseAddr(tt.addr).As16()).multicast())
		})
	}
}
