package quota

import (
	"math/bits"
	"time"
)

// hit charges a request at now to its window without a lock; ok is
// false if that cannot be: nothing is charged then. It can be where the window
// is live and holds one more, which is to say nearly always.
func (h *Hosts) hit(st *settings, l located, now int64, o Origin) (d Decision, ok bool) {
	t, tag, at := h.table, l.tag, l.spot
	if at < 0 {
		return Decision{}, false
	}
	// What follows is look, and so written here: the call would cost a tenth.
	p, line := at/pageBuckets, at%pageBuckets
	k := &t.memory.hot[p][line]
	t0, t1, t2, t3 := k[0].tag.Load(), k[1].tag.Load(), k[2].tag.Load(), k[3].tag.Load()
	m := is(t0 == tag) | is(t1 == tag)<<1 | is(t2 == tag)<<2 | is(t3 == tag)<<3
	var e slot
	if m != 0 {
		i := bits.TrailingZeros8(m) & (bucketSlots - 1)
		e = slot{&k[i], &t.memory.cold[p][line][i]}
	} else if t0 == 0 || t1 == 0 || t2 == 0 || t3 == 0 {
		return Decision{}, false
	} else if e = t.find(tag); !e.ok() {
		return Decision{}, false
	}
	for {
		v := e.state.Load()
		age := st.fits(v, now)
		if age < 0 {
			return Decision{}, false
		}
		n, want := v+1, hint(age, st.scale, o)
		if v&hintMask != want || want == noHint {
			seen := e.seen.Load()
			if e.tag.Load() != tag || !e.seen.CompareAndSwap(seen, saw(seen, now, o)) {
				return Decision{}, false
			}
			if want != noHint {
				n = n&^hintMask | want
			}
		}
		// The state is still tag's: see unhinted. It may be moved or forgotten
		// as soon as it is charged, with the charge.
		if e.tag.Load() != tag {
			return Decision{}, false
		}
		if e.state.CompareAndSwap(v, n) {
			return Decision{
				Policy: st.policy, Used: used(v) + 1,
				Reset: time.Duration(st.length-age) * time.Millisecond,
			}, true
		}
	}
}

// fits is the age in ms of the window of a state if it is live and holds one
// more; -1 if not, if there is none, or if the clock was set back: all that is
// for the arithmetic in window.go.
func (st *settings) fits(v uint64, now int64) int64 {
	age := (uint64(now) - v>>startShift) & startMask
	// A count of 0 or of the quota, and one that refuses or is kept elsewhere,
	// are over room.
	if uint32(v&(refuseBit|longBit|maxUsed))-1 >= st.room || age >= uint64(st.length) {
		return -1
	}
	return int64(age)
}

// glance says what a check would, without a lock; ok is false if it takes one
// to tell, or if it would refuse.
func (h *Hosts) glance(st *settings, tag uint64, now int64) (d Decision, ok bool) {
	e := h.table.find(tag)
	if !e.ok() {
		return Decision{}, false
	}
	v := e.state.Load()
	age := st.fits(v, now)
	if age < 0 || e.tag.Load() != tag {
		return Decision{}, false
	}
	return Decision{
		Policy: st.policy, Used: used(v), Reset: time.Duration(st.length-age) * time.Millisecond,
	}, true
}
