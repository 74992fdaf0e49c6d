package quota

import (
	"math/bits"
	"math/rand/v2"
	"sync"
)

// keyStore is where the engine keeps the states of its keys: a tag for each pair
// of a key and a policy, and its state. It is the only file that knows how.
//
// It holds at most its capacity, one over that a policy and shard (overflow).
// A new pair then takes the place of the one least used among evictFrom that
// are looked at, one whose window is over first; one that is being refused
// stays until its window ends. Where all are being refused, the new pair shares
// one state with all that came so in its shard.
type keyStore struct {
	shards   [numShards]keyShard
	capacity int // of a shard
}

const (
	numShards = 64 // a set of them is a uint64
	// evictFrom is how many places are looked at for one to give up.
	evictFrom = 16
)

// keyShard is a part of the pairs. mu guards the fields below it.
type keyShard struct {
	mu    sync.Mutex
	index map[uint64]int32 // by tag
	slots []keySlot
	free  []int32

	spells                     map[uint64]*keySpell // by tag
	evicted, overflowed, swept uint64

	_ [64]byte // no cache line is shared with the next shard's lock
}

// keySlot is one pair: 72 bytes, free of pointers.
type keySlot struct {
	tag   uint64 // 0: the place is free
	state state
	// until is when the state is over, in Unix milliseconds; seated while a
	// request holds the place.
	until    int64
	used     uint32
	refusing bool // the last request was refused
	shared   bool // the overflow's
}

// seated is an until that keeps a place from being given up.
const seated = 1<<63 - 1

func newKeyStore(maxKeys int) *keyStore {
	s := &keyStore{capacity: max(1, maxKeys/numShards)}
	for i := range s.shards {
		s.shards[i].index = map[uint64]int32{}
	}
	return s
}

// shardOf is the number of the shard that a key's hash belongs to: one key's
// states are all in one.
func shardOf(hash uint64) int { return int(hash >> (64 - 6)) }

// lock locks a set of shards, a bit each, in the order of their numbers, so that
// no two requests wait for each other.
func (s *keyStore) lock(set uint64) {
	for ; set != 0; set &= set - 1 {
		s.shards[bits.TrailingZeros64(set)].mu.Lock()
	}
}

func (s *keyStore) unlock(set uint64) {
	for ; set != 0; set &= set - 1 {
		s.shards[bits.TrailingZeros64(set)].mu.Unlock()
	}
}

// find is the place of a tag; nil if it has none. The shard is locked.
func (h *keyShard) find(tag uint64) *keySlot {
	if i, ok := h.index[tag]; ok {
		return &h.slots[i]
	}
	return nil
}

// seat is the place of a tag, made if need be; overflow is the tag of the state
// that is shared where there is no room. The place is the caller's, and the
// number stays true, until it sets until again. The shard is locked.
func (h *keyShard) seat(tag, overflow uint64, at seatAt) int32 {
	i, ok := h.index[tag]
	if !ok {
		i = h.place(tag, overflow, at)
	}
	h.slots[i].until = seated
	return i
}

// seatAt is what decides where a new pair is placed.
type seatAt struct {
	now      int64
	capacity int
}

func (h *keyShard) place(tag, overflow uint64, at seatAt) int32 {
	if len(h.index) < at.capacity {
		return h.insert(tag)
	}
	if i := h.victim(at.now); i >= 0 {
		h.evicted++
		h.release(i)
		return h.insert(tag)
	}
	h.overflowed++
	i, ok := h.index[overflow]
	if !ok {
		i = h.insert(overflow)
		h.slots[i].shared = true
	}
	return i
}

func (h *keyShard) insert(tag uint64) int32 {
	var i int32
	if n := len(h.free); n > 0 {
		i, h.free = h.free[n-1], h.free[:n-1]
	} else {
		i = int32(len(h.slots))
		h.slots = append(h.slots, keySlot{})
	}
	h.slots[i] = keySlot{tag: tag}
	h.index[tag] = i
	return i
}

func (h *keyShard) release(i int32) {
	delete(h.index, h.slots[i].tag)
	h.slots[i] = keySlot{}
	h.free = append(h.free, i)
}

// victim is the place to give up; -1 if none may be.
func (h *keyShard) victim(now int64) int32 {
	best, at := int32(-1), rand.IntN(len(h.slots))
	for range min(evictFrom, len(h.slots)) {
		if e := &h.slots[at]; e.tag != 0 && e.until != seated && !e.shared {
			switch {
			case e.until <= now:
				return int32(at)
			case !e.refusing && (best < 0 || e.used < h.slots[best].used):
				best = int32(at)
			}
		}
		if at++; at == len(h.slots) {
			at = 0
		}
	}
	return best
}

// sweep forgets what is over at now, and gives memory back where most is free.
// No until may lie further away than longest, in milliseconds: the clock was set
// back then. The shard is locked.
func (h *keyShard) sweep(now, longest int64) {
	for i := range h.slots {
		e := &h.slots[i]
		if e.tag == 0 {
			continue
		}
		if e.until = min(e.until, now+longest); e.until <= now {
			h.release(int32(i))
			h.swept++
		}
	}
	if len(h.slots) >= 64 && len(h.free) > len(h.slots)*3/4 {
		h.compact()
	}
}

// compact moves what there is into memory of its size: maps never shrink.
func (h *keyShard) compact() {
	slots, index := make([]keySlot, 0, len(h.index)*2), make(map[uint64]int32, len(h.index))
	for i := range h.slots {
		if h.slots[i].tag != 0 {
			index[h.slots[i].tag] = int32(len(slots))
			slots = append(slots, h.slots[i])
		}
	}
	h.slots, h.index, h.free = slots, index, nil
}
