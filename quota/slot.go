package quota

import (
	"math"
	"sync/atomic"
)

// budget is which of a key's two windows a request spends. Each has a slot of
// its own, side by side, so that nobody keeps two who needs one.
type budget uint8

const (
	own        budget = iota // requests whose source is vouched for
	unverified               // datagrams that anybody may have forged

	numBudgets = iota
)

// slot is what the table keeps of one key and budget: 32 bytes without a
// pointer, so that the collector never scans the table.
//
// A request that is admitted into a live window changes state, by one
// compare-and-swap that decides, and seen, where that is out of date; it takes
// no lock. All else is done with the segment locked. Whoever takes a slot away
// first swaps its state for 0, which no request without the lock can change.
type slot struct {
	tag   atomic.Uint64 // of the key, the last bit its budget; 0: the slot is free
	state atomic.Uint64 // the window: see pack; 0: none has begun
	seen  atomic.Uint64 // last request, origins, generation: see packSeen
	// carried + the window's count, modulo 2^32, are the requests since the
	// last report, refused ones included: that an admitted one is counted
	// once and is counted twice by one instruction.
	carried uint32
	refused uint32 // since the last report
}

// A state is a window in a word: the low 33 bits of its start in Unix ms,
// whether it refuses, and what it admitted.
const (
	startBits  = 33
	startMask  = 1<<startBits - 1
	startShift = 64 - startBits
	refuseBit  = 1 << (startShift - 1)
	countMask  = 1<<startShift - 1 // refuseBit included, so that what refuses looks over any quota
	// maxUsed is where a count stops: a window that has admitted that many
	// admits the rest of a larger quota without counting.
	maxUsed = refuseBit - 1
	// maxWindow is the age in ms, some 49 days, up to which a start is told
	// from one in the future, which is a clock that was set back.
	maxWindow = 1 << (startBits - 1)
)

// pack is w as a state.
func pack(w window) uint64 {
	if w.used == 0 && !w.refusing {
		return 0
	}
	v := uint64(w.start)<<startShift | uint64(min(w.used, maxUsed))
	if w.refusing {
		v |= refuseBit
	}
	return v
}

// unpack is the window of a state. Its start is taken to be the one nearest to
// now: a sweep clears what is older.
func unpack(v uint64, now int64) window {
	age := (uint64(now) - v>>startShift) & startMask
	start := now - int64(age)
	if age > maxWindow {
		start += 1 << startBits
	}
	return window{start: start, used: used(v), refusing: v&refuseBit != 0}
}

func used(v uint64) uint32 { return uint32(v) & maxUsed }

// seen is a time in Unix ms (48 bits and a sign), the origins since the last
// report, and a generation, by which a request notes that the slot went to
// another key meanwhile.
const (
	lastShift   = 16
	originShift = 8
	generation  = 1<<originShift - 1
)

func packSeen(last int64, o Origin, gen uint64) uint64 {
	return uint64(last)<<lastShift | uint64(o)<<originShift | gen&generation
}

func lastSeen(v uint64) int64   { return int64(v) >> lastShift }
func originsOf(v uint64) Origin { return Origin(v >> originShift) }

// sees tells whether v says of a request at now from o already; a time within
// grain ms does.
func sees(v uint64, now, grain int64, o Origin) bool {
	return uint64(now-lastSeen(v)) < uint64(grain) && originsOf(v)&o == o
}

// saw is v with a request at now from o.
func saw(v uint64, now int64, o Origin) uint64 { return packSeen(now, originsOf(v)|o, v) }

// see notes a request. The segment is locked.
func (e *slot) see(now int64, o Origin) {
	for {
		v := e.seen.Load()
		if e.seen.CompareAndSwap(v, saw(v, now, o)) {
			return
		}
	}
}

// requests are those since the last report.
func (e *slot) requests() uint32 { return e.carried + used(e.state.Load()) }

// halfCount is the most requests that a slot is left to carry: with a whole
// window on top the sum still fits.
const halfCount = 1 << 31

// add counts n requests for the report, of which refused were refused, and is
// what of both it could not hold. The segment is locked.
func (e *slot) add(n, refused uint64) (over, overRefused uint64) {
	all := uint64(e.requests()) + n
	if all > halfCount {
		over = all - halfCount
	}
	e.carried += uint32(n - over)
	sum := uint64(e.refused) + refused
	e.refused = uint32(min(sum, math.MaxUint32))
	return over, sum - uint64(e.refused)
}

// forget starts a new interval of the report after one that told of n requests.
func (e *slot) forget(n uint32) {
	e.carried -= n
	e.refused = 0
	for {
		v := e.seen.Load()
		if e.seen.CompareAndSwap(v, packSeen(lastSeen(v), 0, v)) {
			return
		}
	}
}

// settle closes a window that is over, before its start could be mistaken for
// a later one, and undoes what a clock set back left: nothing lies in the
// future, or the slot would outstay its time by the length of the jump.
func (e *slot) settle(now, length int64) {
	for {
		v := e.state.Load()
		if v == 0 {
			break
		}
		w := unpack(v, now)
		n := v
		if !w.live(now, length) {
			n = 0
		} else if w.start > now {
			w.start = now
			n = pack(w)
		}
		if n == v {
			break
		}
		if e.state.CompareAndSwap(v, n) {
			e.carried += used(v) - used(n)
			break
		}
	}
	for {
		v := e.seen.Load()
		if lastSeen(v) <= now || e.seen.CompareAndSwap(v, packSeen(now, originsOf(v), v)) {
			return
		}
	}
}

// budget is whose window the slot holds.
func (e *slot) budget() budget { return budget(e.tag.Load() & 1) }

// rank is how dear a slot is when room is needed: the lowest goes first.
type rank uint8

const (
	idle            rank = iota // its window is not live
	forged                      // it is the unverified window
	forgedExceeded              // …and it refuses
	counted                     // it is the own window
	countedExceeded             // …and it refuses: never evicted
)

func (e *slot) rank(now int64, p *Policy) rank {
	if p == nil {
		return idle
	}
	w := unpack(e.state.Load(), now)
	r := idle
	switch {
	case !w.live(now, p.millis()):
		return idle
	case e.budget() == own:
		r = counted
	default:
		r = forged
	}
	if w.exceeded(now, p) {
		r++
	}
	return r
}

// quieter tells whether e is less active than o where both have rank r: it was
// admitted less in a live window, else it is silent for longer.
func (e *slot) quieter(o *slot, r rank) bool {
	if r >= counted {
		if a, b := used(e.state.Load()), used(o.state.Load()); a != b {
			return a < b
		}
	}
	return lastSeen(e.seen.Load()) < lastSeen(o.seen.Load())
}

// record is a slot that is being moved.
type record struct {
	tag, state, seen uint64
	carried, refused uint32
}

// take empties the slot. The segment is locked.
func (e *slot) take() record {
	r := record{state: e.state.Swap(0)} // first: nothing changes the rest then
	r.tag, r.seen, r.carried, r.refused = e.tag.Load(), e.seen.Load(), e.carried, e.refused
	e.tag.Store(0)
	e.carried, e.refused = 0, 0
	return r
}

// put fills the free slot. The segment is locked.
func (e *slot) put(r record) {
	e.carried, e.refused = r.carried, r.refused
	e.seen.Store(packSeen(lastSeen(r.seen), originsOf(r.seen), e.seen.Load()+1))
	e.tag.Store(r.tag)
	e.state.Store(r.state) // last: from here on it can be charged
}
