package coap

import (
	"hash/maphash"
	"sync"
	"time"
)

// How long a message id is remembered (RFC 7252 4.8.2).
const (
	exchangeLifetime = 247 // seconds, EXCHANGE_LIFETIME, for CON
	nonLifetime      = 145 // seconds, NON_LIFETIME
)

// The table's shape: 131,072 sets of 4 entries of 16 bytes, 8 MiB, which
// remember 2,100 requests a second for their whole lifetime, and 100,000 a
// second for 5 s, longer than the first retransmission takes (2-3 s).
const (
	dedupSets  = 1 << 17
	dedupWays  = 4
	dedupLocks = 64
)

// repeatState is what became of a request that is seen again.
type repeatState uint8

const (
	unseen   repeatState = iota // no repeat
	waiting                     // the store has not answered yet
	acked                       // so too, and the peer got the empty ACK
	answered                    // code and maxAge say how
)

// repeat is what the table knows of a request.
type repeat struct {
	state  repeatState
	code   byte
	maxAge uint8 // of an answered one, as ageOf gives it
	non    bool
	// known marks a request with a good token: it outlives those without.
	known bool
	// times is how often it came again, up to maxRepeats + 1.
	times uint8
}

// maxRepeats is how many repeats of one request are served free of charge: the
// MAX_RETRANSMIT of RFC 7252 4.8, and as many that the network doubled.
const maxRepeats = 2 * maxRetransmit

// worn tells whether the request came again more often than its peer and the
// network together would send it: somebody replays it.
func (r repeat) worn() bool { return r.times > maxRepeats }

// noAge stands for a response without Max-Age.
const noAge = 0xff

// ageOf is a response's Max-Age in a byte. More than 254 s is remembered as
// that: the entry lives no longer.
func ageOf(seconds int) uint8 {
	if seconds == omitted {
		return noAge
	}
	return uint8(min(seconds, noAge-1))
}

// age is the Max-Age of a response told again.
func (r repeat) age() int {
	if r.maxAge == noAge {
		return omitted
	}
	return int(r.maxAge)
}

// word is r and the second at which it was made, as an entry keeps it: the
// second in the upper half, so that later words of the same kind are larger.
func (r repeat) word(second uint32) uint64 {
	w := uint64(second)<<32 | uint64(r.maxAge)<<24 | uint64(r.code)<<16 | uint64(r.state)
	if r.non {
		w |= 1 << 8
	}
	if r.known {
		w |= 1 << 9
	}
	return w | uint64(r.times&timesMask)<<timesShift
}

// The place of times in an entry's word: 4 bits.
const (
	timesShift = 10
	timesMask  = 0xf
)

func repeatOf(w uint64) repeat {
	return repeat{
		state: repeatState(w), code: byte(w >> 16), maxAge: byte(w >> 24),
		non: w&(1<<8) != 0, known: w&(1<<9) != 0, times: uint8(w>>timesShift) & timesMask,
	}
}

// dedupEntry is free while its word is 0.
type dedupEntry struct{ hash, word uint64 }

// live tells whether the entry's lifetime lasts at second now.
func (e *dedupEntry) live(now uint32) bool {
	life := uint32(exchangeLifetime)
	if repeatOf(e.word).non {
		life = nonLifetime
	}
	return e.word != 0 && now-uint32(e.word>>32) < life
}

// dedup remembers which requests were seen. A request is known by a keyed hash
// of its endpoint and of the whole datagram, message id and token included, so
// that a modem that starts again at message id 1 with new content is served. At
// the bound of a set the least useful entry gives way: expired ones first, then
// the oldest without a good token, then the oldest. It is safe for concurrent use.
type dedup struct {
	seed  maphash.Seed
	epoch time.Time
	sets  [][dedupWays]dedupEntry
	locks [dedupLocks]struct {
		sync.Mutex
		_ [56]byte // a cache line each
	}
}

// newDedup makes a table whose seconds count from epoch on.
func newDedup(epoch time.Time) *dedup {
	return &dedup{
		seed: maphash.MakeSeed(), epoch: epoch.Add(-time.Second),
		sets: make([][dedupWays]dedupEntry, dedupSets),
	}
}

// hash is the name of a datagram from a peer; it writes into the frame's room.
func (t *dedup) hash(d *datagram) uint64 {
	d.remote.key(d.frame[:0])
	return maphash.Bytes(t.seed, d.frame)
}

func (t *dedup) second(now time.Time) uint32 { return uint32(now.Sub(t.epoch) / time.Second) }

// lock takes the lock of h's set, and gives the set.
func (t *dedup) lock(h uint64) (*sync.Mutex, *[dedupWays]dedupEntry) {
	i := h % dedupSets
	mu := &t.locks[i%dedupLocks].Mutex
	mu.Lock()
	return mu, &t.sets[i]
}

// recall is what is known of a request that came now, this time counted; its
// state is unseen if nothing is.
func (t *dedup) recall(h uint64, now time.Time) repeat {
	mu, set := t.lock(h)
	defer mu.Unlock()
	second := t.second(now)
	for i := range set {
		if e := &set[i]; e.hash == h && e.live(second) {
			return e.again()
		}
	}
	return repeat{}
}

// again counts one repeat more, and gives the entry.
func (e *dedupEntry) again() repeat {
	r := repeatOf(e.word)
	r.times = min(r.times+1, maxRepeats+1)
	e.word = r.word(uint32(e.word >> 32))
	return r
}

// put remembers a request seen now. One that is remembered already keeps its age
// and the count of its repeats: what it asks is asked again.
func (t *dedup) put(h uint64, r repeat, now time.Time) {
	mu, set := t.lock(h)
	defer mu.Unlock()
	second := t.second(now)
	least := &set[0]
	for i := range set {
		e := &set[i]
		if e.hash == h {
			if e.live(second) {
				r.times, second = repeatOf(e.word).times, uint32(e.word>>32)
			}
			least = e
			break
		}
		if e.worth(second) < least.worth(second) {
			least = e
		}
	}
	*least = dedupEntry{h, r.word(second)}
}

// worth orders the entries of a full set, the least useful first.
func (e *dedupEntry) worth(now uint32) uint64 {
	if !e.live(now) {
		return 0
	}
	second := e.word >> 32
	if repeatOf(e.word).known {
		return 1<<32 | second
	}
	return second
}

// become notes what became of a request, and keeps its age; it does nothing if
// the request was displaced. code and maxAge mean something for answered alone.
func (t *dedup) become(h uint64, state repeatState, code byte, maxAge uint8) {
	mu, set := t.lock(h)
	defer mu.Unlock()
	for i := range set {
		e := &set[i]
		if e.hash != h || e.word == 0 {
			continue
		}
		r := repeatOf(e.word)
		r.state, r.code, r.maxAge = state, code, maxAge
		e.word = r.word(uint32(e.word >> 32))
	}
}
