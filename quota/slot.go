package quota

import (
	"math"
	"math/bits"
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
// pointer, so that the collector never scans the table. They lie in two places:
// one cache line holds what most checks need of four slots.
//
// A request that is admitted into a live window changes state, by one
// compare-and-swap that decides, and seen, where that is out of date; it takes
// no lock. All else is done with the segment locked. Whoever takes a slot away
// first swaps its state for 0, which no request without the lock can change.
type slot struct {
	*hot // nil: there is no such slot
	*cold
}

type hot struct {
	tag   atomic.Uint64 // of the key, the last bit its budget; 0: the slot is free
	state atomic.Uint64 // the window: see pack; 0: none has begun
}

type cold struct {
	seen atomic.Uint64 // last request, origins, generation: see packSeen
	// carried + the state's count, modulo 2^32, are the requests since the last
	// report, refused ones included: so that an admitted one is counted by the
	// instruction that charges it.
	carried uint32
	refused uint32 // since the last report
}

func (e slot) ok() bool { return e.hot != nil }

// A state is a window in a word: the low 33 bits of its start in Unix ms,
// whether it refuses, whether its count is kept elsewhere, a hint, and what it
// admitted.
const (
	startBits  = 33
	startMask  = 1<<startBits - 1
	startShift = 64 - startBits

	refuseBit = 1 << 30
	longBit   = 1 << 29 // the count is the segment's long: it has outgrown maxUsed
	hintShift = 22
	hintMask  = 0x7f << hintShift
	maxUsed   = 1<<hintShift - 1

	// maxWindow is the age in ms, some 49 days, up to which a start is told
	// from one in the future, which is a clock that was set back.
	maxWindow = 1 << (startBits - 1)
)

// A hint says what seen holds already, so that a request need not look: an
// origin, and in which of hintParts parts of the window the last request was
// noted. What is noted of a host is late by one such part at most.
const (
	hintParts = 15
	partBits  = 4
	noHint    = hintParts << hintShift // says nothing

	genShift = hintShift + partBits
	genMask  = hintMask >> genShift
)

// unhinted is v with a hint that says nothing but whose turn it is to have the
// slot. A request that has looked at the tag, and then charges what it took for
// its state, could else charge another key's: one that was given the slot in
// between, in a window that began in the same millisecond. That takes eight new
// owners in a millisecond now, and then one of them is charged for one request
// that it did not make.
func (e slot) unhinted(v uint64) uint64 {
	return v&^hintMask | noHint | e.seen.Load()&genMask<<genShift
}

// hint is the one for a request from o at that age in its window, scale being
// hintParts<<32 ÷ the window's length. Only a single origin has one.
func hint(age int64, scale uint64, o Origin) uint64 {
	if o == 0 || o&(o-1) != 0 {
		return noHint
	}
	part := uint64(age) * scale >> 32
	return (uint64(bits.TrailingZeros8(uint8(o)))<<partBits | part) << hintShift
}

// pack is w as a state; its count must not be over maxUsed.
func pack(w window) uint64 {
	if w.used == 0 && !w.refusing {
		return 0
	}
	v := uint64(w.start)<<startShift | noHint | uint64(w.used)
	if w.refusing {
		v |= refuseBit
	}
	return v
}

// unpack is the window of a state whose count is not kept elsewhere. Its start
// is taken to be the one nearest to now: a sweep clears what is older.
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

// saw is v with a request at now from o.
func saw(v uint64, now int64, o Origin) uint64 { return packSeen(now, originsOf(v)|o, v) }

// see notes a request. The segment is locked.
func (e slot) see(now int64, o Origin) {
	for {
		v := e.seen.Load()
		if e.seen.CompareAndSwap(v, saw(v, now, o)) {
			return
		}
	}
}

// requests are those since the last report.
func (e slot) requests() uint32 { return e.carried + used(e.state.Load()) }

// halfCount is the most requests that a slot is left to carry: with a whole
// window on top the sum still fits.
const halfCount = 1 << 31

// add counts n requests for the report, of which refused were refused, and is
// what of both it could not hold. The segment is locked.
func (e slot) add(n, refused uint64) (over, overRefused uint64) {
	all := uint64(e.requests()) + n
	if all > halfCount {
		over = all - halfCount
	}
	e.carried += uint32(n - over)
	sum := uint64(e.refused) + refused
	e.refused = uint32(min(sum, math.MaxUint32))
	return over, sum - uint64(e.refused)
}

// counts are what a slot counted since the last report.
type counts struct {
	requests, refused uint32
	origins           Origin
	last              int64
}

func (e slot) counts() counts {
	seen := e.seen.Load()
	return counts{e.requests(), e.refused, originsOf(seen), lastSeen(seen)}
}

// forget is what counts is, and starts a new interval of the report: every
// request is in one or the other.
func (e slot) forget() counts {
	n := counts{refused: e.refused}
	for {
		v := e.seen.Load()
		if e.seen.CompareAndSwap(v, packSeen(lastSeen(v), 0, v)) {
			n.origins, n.last = originsOf(v), lastSeen(v)
			break
		}
	}
	for { // origins first: who goes by the hint meanwhile is counted here
		v := e.state.Load()
		if v == 0 || e.state.CompareAndSwap(v, e.unhinted(v)) {
			n.requests = e.carried + used(v)
			break
		}
	}
	e.carried -= n.requests
	e.refused = 0
	return n
}

// budget is whose window the slot holds.
func (e slot) budget() budget { return budget(e.tag.Load() & 1) }

// rank is how dear a slot is when room is needed: the lowest goes first.
type rank uint8

const (
	idle            rank = iota // its window is not live
	forged                      // it is the unverified window
	forgedExceeded              // …and it refuses
	counted                     // it is the own window
	countedExceeded             // …and it refuses: never evicted
)

// record is a slot that is being moved.
type record struct {
	tag, state, seen uint64
	carried, refused uint32
}

// take empties the slot. The segment is locked.
func (e slot) take() record {
	r := record{state: e.state.Swap(0)} // first: nothing changes the rest then
	r.tag, r.seen, r.carried, r.refused = e.tag.Load(), e.seen.Load(), e.carried, e.refused
	e.tag.Store(0)
	e.carried, e.refused = 0, 0
	return r
}

// put fills the free slot. The segment is locked.
func (e slot) put(r record) {
	e.carried, e.refused = r.carried, r.refused
	e.seen.Store(packSeen(lastSeen(r.seen), originsOf(r.seen), e.seen.Load()+1))
	e.tag.Store(r.tag)
	e.state.Store(r.state) // last: from here on it can be charged
}
