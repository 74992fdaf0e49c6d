package coap

import "time"

// The timer wheel: one slot a tick, so many that the longest wait fits, the
// last retransmission's 16 × 3 s.
const (
	tick       = 100 * time.Millisecond
	wheelSlots = 512
)

// none is no exchange, in a link.
const none = -1

// link is an exchange's place in the wheel.
type link struct{ slot, next, prev int32 }

// wheel finds the exchanges that are due: a ring of doubly linked lists through
// the pool's exchanges. It is its owner's lock that guards it.
type wheel struct {
	links []link // one an exchange
	heads [wheelSlots]int32
	epoch time.Time
	now   int64 // the last tick whose slot is done
}

func newWheel(n int, epoch time.Time) *wheel {
	w := &wheel{links: make([]link, n), epoch: epoch}
	for i := range w.heads {
		w.heads[i] = none
	}
	for i := range w.links {
		w.links[i].slot = none
	}
	return w
}

// add has exchange i be due at a time, of which ticks are the grain; what is
// further off than the wheel reaches is due at its end.
func (w *wheel) add(i int32, at time.Time) {
	due := int64((at.Sub(w.epoch) + tick - 1) / tick)
	due = min(max(due, w.now+1), w.now+wheelSlots-1)
	slot := int32(due % wheelSlots)
	head := w.heads[slot]
	w.links[i] = link{slot: slot, next: head, prev: none}
	if head != none {
		w.links[head].prev = i
	}
	w.heads[slot] = i
}

// remove takes exchange i out, if it is in.
func (w *wheel) remove(i int32) {
	l := &w.links[i]
	if l.slot == none {
		return
	}
	if l.prev == none {
		w.heads[l.slot] = l.next
	} else {
		w.links[l.prev].next = l.next
	}
	if l.next != none {
		w.links[l.next].prev = l.prev
	}
	l.slot = none
}

// due takes out one exchange that is due at now; none if there is none.
func (w *wheel) due(now time.Time) int32 {
	target := int64(now.Sub(w.epoch) / tick)
	// After a jump of the clock one turn has seen every slot.
	w.now = max(w.now, target-wheelSlots)
	for w.now < target {
		if i := w.heads[(w.now+1)%wheelSlots]; i != none {
			w.remove(i)
			return i
		}
		w.now++
	}
	return none
}
