//go:build !linux || race

package quota

// memory is the table's pages, as much as it may ever use. On Go's heap the
// system gives them out when they are first touched, but they are not given
// back; and the race detector sees them there.
type memory struct{ pages []page }

func reserve(n int, _ bool) memory { return memory{pages: make([]page, n)} }

func (*memory) release(_, _ int) {}
