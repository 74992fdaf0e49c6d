package quota

import "math"

// budget is which of a key's two windows a request spends.
type budget uint8

const (
	own        budget = iota // requests whose source is vouched for
	unverified               // datagrams that anybody may have forged

	numBudgets = iota
)

// slot is what the table keeps of one key: 64 bytes, a cache line, without a
// pointer, so that the collector never scans the table. The windows lie as
// parallel arrays for the sake of that size.
type slot struct {
	key      Key
	start    [numBudgets]int64
	last     int64 // of the last request, Unix ms
	used     [numBudgets]uint32
	requests uint32 // since the last report, refused included; stops at its maximum
	refused  uint32 // since the last report; stops at its maximum
	tag      uint32 // of the key's hash, never 0; 0: the slot is free
	origins  Origin // since the last report
	refusing [numBudgets]bool
}

func (e *slot) window(b budget) window {
	return window{e.start[b], e.used[b], e.refusing[b]}
}

func (e *slot) keep(b budget, w window) {
	e.start[b], e.used[b], e.refusing[b] = w.start, w.used, w.refusing
}

// add counts n requests for the report, refused of them refused.
func (e *slot) add(n, refused uint64, o Origin) {
	e.requests = addCapped(e.requests, n)
	e.refused = addCapped(e.refused, refused)
	e.origins |= o
}

// forget starts a new interval of the report.
func (e *slot) forget() { e.requests, e.refused, e.origins = 0, 0, 0 }

// settle undoes what a clock set back left: nothing lies in the future, or the
// slot would outstay its time by the length of the jump.
func (e *slot) settle(now int64) {
	e.last = min(e.last, now)
	for b := range e.start {
		e.start[b] = min(e.start[b], now)
	}
}

// rank is how dear a slot is when room is needed: the lowest goes first.
type rank uint8

const (
	idle            rank = iota // no window is live
	forged                      // only the unverified window is live
	forgedExceeded              // …and it refuses
	counted                     // the own window is live
	countedExceeded             // …and it refuses: never evicted
)

func (e *slot) rank(now int64, p *Policy) rank {
	if p == nil {
		return idle
	}
	length := p.millis()
	if w := e.window(own); w.live(now, length) {
		if w.exceeded(now, p) {
			return countedExceeded
		}
		return counted
	}
	if w := e.window(unverified); w.live(now, length) {
		if w.exceeded(now, p) {
			return forgedExceeded
		}
		return forged
	}
	return idle
}

// quieter tells whether e is less active than o where both have rank r: it was
// admitted less in a live window, else it is silent for longer.
func (e *slot) quieter(o *slot, r rank) bool {
	if r >= counted && e.used[own] != o.used[own] {
		return e.used[own] < o.used[own]
	}
	return e.last < o.last
}

// entry is the slot as a report shows it.
func (e *slot) entry(now int64, p *Policy) Entry {
	return Entry{
		Key: e.key, Requests: uint64(e.requests), Refused: uint64(e.refused),
		Origins: e.origins, LastSeen: moment(e.last),
		Exceeded: e.exceeded(own, now, p) || e.exceeded(unverified, now, p),
	}
}

func (e *slot) exceeded(b budget, now int64, p *Policy) bool {
	return p != nil && e.window(b).exceeded(now, p)
}

func addCapped(a uint32, n uint64) uint32 {
	return uint32(min(uint64(a)+n, math.MaxUint32))
}
