//go:build linux && !race

package quota

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// memory is the table's pages, as much as it may ever use; the kernel gives
// them out when they are first touched.
type memory struct {
	pages []page
	raw   []byte // nil: on Go's heap
}

// minMapped is the least that is worth a mapping of its own.
const minMapped = 1 << 20

// reserve reserves n pages. It is on Go's heap, which cannot be given back in
// parts, where the table is small or the kernel has no address space left. With
// huge, pages that fit in are backed by the processor's large ones, which spares
// most checks a walk through the page tables.
func reserve(n int, huge bool) memory {
	size := uint64(n) * uint64(pageBytes)
	const prot, flags = unix.PROT_READ | unix.PROT_WRITE, unix.MAP_PRIVATE | unix.MAP_ANON | unix.MAP_NORESERVE
	total := size + rangeBytes
	if size < minMapped || total > uint64(^uint(0)>>2) {
		return memory{pages: make([]page, n)}
	}
	raw, err := unix.Mmap(-1, 0, int(total), prot, flags)
	if err != nil {
		return memory{pages: make([]page, n)}
	}
	skip := -uintptr(unsafe.Pointer(&raw[0])) % rangeBytes // huge pages are aligned to their size
	raw = raw[skip:]
	advice := unix.MADV_NOHUGEPAGE
	if huge {
		advice = unix.MADV_HUGEPAGE
	}
	_ = unix.Madvise(raw, advice) // a kernel without huge pages is slower, no more
	return memory{pages: unsafe.Slice((*page)(unsafe.Pointer(&raw[0])), n), raw: raw[:size]}
}

// release gives pages from to to, which hold nothing, back to the system. They
// can still be read and written: they are zero then.
func (m *memory) release(from, to int) {
	if m.raw != nil && from < to {
		_ = unix.Madvise(m.raw[from*pageBytes:to*pageBytes], unix.MADV_DONTNEED)
	}
}
