package keyed

import (
	"math/rand/v2"
	"net/netip"

	"github.com/weirgate/weir/quota"
)

// Addr is host i: an IPv4 address of its own for each, in no order.
func Addr(i uint32) netip.Addr {
	x := scatter(i)
	return netip.AddrFrom4([4]byte{byte(x >> 24), byte(x >> 16), byte(x >> 8), byte(x)})
}

// Key is host i's.
func Key(i uint32) quota.Key { return quota.HostKey(Addr(i), quota.MaxIPv6Prefix) }

// scatter is a permutation of 32 bits: odd factors and shifts can be undone.
func scatter(x uint32) uint32 {
	x *= 0x7feb352d
	x ^= x >> 15
	x *= 0x846ca68b
	x ^= x >> 16
	return x
}

// Uniform is count draws of n hosts, each as likely as any.
func Uniform(n, count int, seed uint64) []uint32 {
	r := rand.New(rand.NewPCG(seed, 1))
	draws := make([]uint32, count)
	for i := range draws {
		draws[i] = r.Uint32N(uint32(n))
	}
	return draws
}

// Zipf is count draws of n hosts, the k-th likely as 1/k^1.1.
func Zipf(n, count int, seed uint64) []uint32 {
	z := rand.NewZipf(rand.New(rand.NewPCG(seed, 2)), 1.1, 1, uint64(n-1))
	draws := make([]uint32, count)
	for i := range draws {
		draws[i] = uint32(z.Uint64())
	}
	return draws
}
