package hostlist

import (
	"container/heap"
	"time"
)

// listing is an entry where it stands.
type listing struct {
	entry Entry
	list  List
	// put tells whether Put made it, not Set.
	put bool
	// gone tells that it no longer counts; Set may still hold it.
	gone bool
	// turn is its place in the expiry heap; -1 if it never expires.
	turn int
}

func (x *listing) verdict() Verdict {
	if x.list == Allow {
		return Allowed
	}
	return Denied
}

// soft tells whether x counts only where no other entry covers the host.
func (x *listing) soft() bool { return x.list == Deny && x.entry.kind == Name }

// rank orders listings of one prefix; the highest decides.
func (x *listing) rank() int {
	switch {
	case x.list == Allow:
		return 2
	case x.soft():
		return 0
	}
	return 1
}

// expiries is a heap of the listings that expire, the first one on top.
type expiries []*listing

func (q expiries) Len() int           { return len(q) }
func (q expiries) Less(i, j int) bool { return q[i].entry.Expires.Before(q[j].entry.Expires) }

func (q expiries) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].turn, q[j].turn = i, j
}

// Push is heap.Interface's.
func (q *expiries) Push(x any) {
	l := x.(*listing)
	l.turn = len(*q)
	*q = append(*q, l)
}

// Pop is heap.Interface's.
func (q *expiries) Pop() any {
	end := len(*q) - 1
	x := (*q)[end]
	(*q)[end] = nil
	*q = (*q)[:end]
	return x
}

func (q *expiries) add(x *listing) {
	x.turn = -1
	if !x.entry.Expires.IsZero() {
		heap.Push(q, x)
	}
}

func (q *expiries) remove(x *listing) {
	if x.turn >= 0 {
		heap.Remove(q, x.turn)
		x.turn = -1
	}
}

// due is the first listing that has expired by now; nil if none has.
func (q expiries) due(now time.Time) *listing {
	if len(q) == 0 || now.Before(q[0].entry.Expires) {
		return nil
	}
	return q[0]
}
