package quota

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// White-box: tags that collide on purpose cannot be had through Hosts, whose
// hash is secret.
func TestASegmentIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &segment{capacity: rapid.IntRange(1, 60).Draw(t, "capacity")}
		want := map[Key]uint32{}
		tagOf := func(k Key) uint32 { // few homes, both ends of the array among them
			return [...]uint32{1, 3, 1 << 30, 1<<31 | 1, 0xffffffff}[k.lo%5]
		}
		keys := rapid.Custom(func(t *rapid.T) Key { return Key{1, rapid.Uint64Range(0, 80).Draw(t, "k")} })
		index := func(k Key) int {
			for i := range s.slots {
				if s.slots[i].tag != 0 && s.slots[i].key == k {
					return i
				}
			}
			return -1
		}
		t.Repeat(map[string]func(*rapid.T){
			"insert": func(t *rapid.T) {
				k := keys.Draw(t, "key")
				if _, ok := want[k]; ok || s.live == s.capacity {
					return
				}
				want[k] = uint32(len(want))
				s.insert(k, tagOf(k)).requests = want[k]
			},
			"remove": func(t *rapid.T) {
				k := keys.Draw(t, "key")
				if i := index(k); i >= 0 {
					s.remove(i)
					delete(want, k)
				}
			},
			"sweep": func(t *rapid.T) {
				for range rapid.IntRange(1, 40).Draw(t, "n") {
					k := keys.Draw(t, "key")
					if i := index(k); i >= 0 {
						s.slots[i] = slot{}
						s.live--
						delete(want, k)
					}
				}
				spare := make([]slot, rapid.IntRange(0, 80).Draw(t, "spare"))
				for i := range spare {
					spare[i].tag = 7 // what it held must not matter
				}
				s.compact(spare)
			},
			"": func(t *rapid.T) {
				require.Equal(t, len(want), s.live)
				for k, n := range want {
					e := s.find(k, tagOf(k))
					require.NotNil(t, e)
					require.Equal(t, n, e.requests)
				}
				for lo := range uint64(81) {
					if _, ok := want[Key{1, lo}]; !ok {
						require.Nil(t, s.find(Key{1, lo}, tagOf(Key{1, lo})))
					}
				}
				require.LessOrEqual(t, s.live*8, len(s.slots)*7)
				require.LessOrEqual(t, len(s.slots), s.capacity*8/7+1)
			},
		})
	})
}

func TestASegmentKeepsNoMoreMemoryThanItNeeds(t *testing.T) {
	s := &segment{capacity: segmentHosts}
	tagOf := func(i uint64) uint32 { return uint32(i*2654435761) | 1 }
	for i := range uint64(segmentHosts) {
		s.insert(Key{1, i}, tagOf(i))
	}
	require.Len(t, s.slots, segmentHosts*8/7+1)
	for i := range s.slots {
		if s.slots[i].tag != 0 && s.slots[i].key.lo != 5 {
			s.slots[i] = slot{}
			s.live--
		}
	}
	spare := make([]slot, segmentHosts*8/7+1)
	s.compact(spare)
	require.Equal(t, minSlots, cap(s.slots), "a small segment takes no large spare")
	require.NotNil(t, s.find(Key{1, 5}, tagOf(5)))
	s.slots[s.home(tagOf(5))] = slot{}
	s.live--
	s.compact(nil)
	require.Nil(t, s.slots)
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
			s, tag := table.locate(Key{i, i})
			require.NotNil(t, s)
			require.NotZero(t, tag)
		}
	}
}

func TestASlotIsACacheLine(t *testing.T) {
	require.EqualValues(t, 64, unsafe.Sizeof(slot{}))
}
