//go:build linux && !race

package quota

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// memory is the table's pages, as much as it may ever use; the kernel gives
// them out when they are first touched.
type memory struct {
	hot             []hotPage
	cold            []coldPage
	rawHot, rawCold []byte // nil: on Go's heap
}

// minMapped is the least that is worth a mapping of its own.
const minMapped = 1 << 20

// reserve reserves n pages. They are on Go's heap, which cannot be given back in
// parts, where the table is small or the kernel has no address space left. With
// huge, pages that fit in are backed by the processor's large ones, which spares
// most checks a walk through the page tables.
func reserve(n int, huge bool) memory {
	rawHot, rawCold := anonymous(n, huge), anonymous(n, huge)
	if rawHot == nil || rawCold == nil {
		return memory{hot: make([]hotPage, n), cold: make([]coldPage, n)}
	}
	return memory{
		hot:    unsafe.Slice((*hotPage)(unsafe.Pointer(&rawHot[0])), n),
		cold:   unsafe.Slice((*coldPage)(unsafe.Pointer(&rawCold[0])), n),
		rawHot: rawHot, rawCold: rawCold,
	}
}

// anonymous maps n pages; nil if it cannot or they are few.
func anonymous(n int, huge bool) []byte {
	size := uint64(n) * uint64(pageBytes)
	total := size + rangeBytes
	if size < minMapped || total > uint64(^uint(0)>>2) {
		return nil
	}
	const prot, flags = unix.PROT_READ | unix.PROT_WRITE, unix.MAP_PRIVATE | unix.MAP_ANON | unix.MAP_NORESERVE
	raw, err := unix.Mmap(-1, 0, int(total), prot, flags)
	if err != nil {
		return nil
	}
	skip := -uintptr(unsafe.Pointer(&raw[0])) % rangeBytes // huge pages are aligned to their size
	advice := unix.MADV_NOHUGEPAGE
	if huge {
		advice = unix.MADV_HUGEPAGE
	}
	_ = unix.Madvise(raw[skip:], advice) // a kernel without huge pages is slower, no more
	return raw[skip : uint64(skip)+size]
}

// release gives pages from to to, which hold nothing, back to the system. They
// can still be read and written: they are zero then.
func (m *memory) release(from, to int) {
	if m.rawHot != nil && from < to {
		_ = unix.Madvise(m.rawHot[from*pageBytes:to*pageBytes], unix.MADV_DONTNEED)
		_ = unix.Madvise(m.rawCold[from*pageBytes:to*pageBytes], unix.MADV_DONTNEED)
	}
}
