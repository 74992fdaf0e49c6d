package quota

import (
	"crypto/rand"
	"encoding/binary"
	"hash/maphash"
)

// A folded key is a Key in 63 bits; the top two say how to read it back. An
// IPv4 host and a prefix of 2000::/3, which is all that is routed on the
// Internet (RFC 4291, 2.4), are themselves: no two of them share a slot. Any
// other Key (link-local, unique local, a loopback) is a keyed hash of 61 bits:
// among n such hosts two share a budget with a probability of n²/2^62, for a
// million of them one in four million. The key being secret, nobody can choose
// which.
const (
	foldedBits = 63
	foldedMask = 1<<foldedBits - 1

	regionShift = foldedBits - 2
	regionSmall = 0 // an IPv4 host, or the zero Key: Key.lo
	regionExact = 1 // 2000::/3: Key.hi, whose top three bits are these
	regionNamed = 2 // a hash: the segment keeps the Key
	regionNone  = 3 // nothing
)

// spread folds Keys and permutes the result, so that they lie anywhere in the
// table and nobody who does not know it can choose Keys that lie together. Both
// ways are exact: what it made of a folded key is read back.
type spread struct {
	seed     uint64 // in regionNone, so that no Key becomes 0
	mul, inv [2]uint64
	names    maphash.Seed
}

// newSpread makes a spread that nobody knows.
func newSpread() spread {
	var b [24]byte
	_, _ = rand.Read(b[:]) // never fails: see its documentation
	s := spread{
		seed:  binary.LittleEndian.Uint64(b[:])&foldedMask | regionNone<<regionShift,
		names: maphash.MakeSeed(),
	}
	for i := range s.mul {
		s.mul[i] = binary.LittleEndian.Uint64(b[8+8*i:]) | 1
		s.inv[i] = inverse(s.mul[i])
	}
	return s
}

// inverse is 1/odd modulo 2^64, by Newton's iteration: each step doubles the
// number of right bits, of which odd itself has three.
func inverse(odd uint64) uint64 {
	x := odd
	for range 5 {
		x *= 2 - odd*x
	}
	return x
}

// fold is k in 63 bits.
func (s *spread) fold(k Key) uint64 {
	if k.hi == 0 && k.lo>>32 == v4Mark>>32 {
		return k.lo
	}
	return s.foldOther(k)
}

// foldOther is fold for what is no IPv4 host.
func (s *spread) foldOther(k Key) uint64 {
	if k.lo == 0 && k.hi>>regionShift == regionExact || k == (Key{}) {
		return k.hi
	}
	return maphash.Comparable(s.names, k)>>3 | regionNamed<<regionShift
}

// tag is where a folded key lies: 64 bits, the last of them 0, and never 0.
func (s *spread) tag(folded uint64) uint64 {
	x := folded ^ s.seed
	x ^= x >> 32
	x = x * s.mul[0] & foldedMask
	x ^= x >> 32
	x = x * s.mul[1] & foldedMask
	x ^= x >> 32
	return x << 1
}

// folded is the folded key whose tag this is; the last bit is disregarded.
func (s *spread) folded(tag uint64) uint64 {
	x := tag >> 1
	x ^= x >> 32
	x = x * s.inv[1] & foldedMask
	x ^= x >> 32
	x = x * s.inv[0] & foldedMask
	x ^= x >> 32
	return x ^ s.seed
}
