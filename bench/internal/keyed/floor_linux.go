package keyed

import (
	"math/bits"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Floor is the least that counting by host costs: one locked add in a table of
// one cache line a host, at a place that a multiplication finds, on large pages.
type Floor struct{ counts []line }

type line struct {
	n atomic.Uint64
	_ [56]byte
}

// NewFloor makes a Floor of n hosts, all of its memory touched.
func NewFloor(n int) (*Floor, error) {
	raw, err := unix.Mmap(-1, 0, n*64+2<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, err
	}
	_ = unix.Madvise(raw, unix.MADV_HUGEPAGE)
	for i := 0; i < len(raw); i += 4096 {
		raw[i] = 0
	}
	skip := -uintptr(unsafe.Pointer(&raw[0])) % (2 << 20)
	return &Floor{unsafe.Slice((*line)(unsafe.Pointer(&raw[skip])), n)}, nil
}

// Count counts the hosts drawn; the sum is of no meaning.
func (f *Floor) Count(draws []uint32) (sum uint64) {
	for _, i := range draws {
		at, _ := bits.Mul64(uint64(i)*0x9e3779b97f4a7c15, uint64(len(f.counts)))
		sum += f.counts[at].n.Add(1)
	}
	return sum
}

// Read reads size bytes of it in order, as fast as Go can.
func (f *Floor) Read(size int) (sum uint64) {
	words := unsafe.Slice((*[8]uint64)(unsafe.Pointer(&f.counts[0])), min(size/64, len(f.counts)))
	for i := range words {
		w := &words[i]
		sum += w[0] + w[1] + w[2] + w[3] + w[4] + w[5] + w[6] + w[7]
	}
	return sum
}
