//go:build !linux || race

package quota

// memory is the table's pages, as much as it may ever use. On Go's heap the
// system gives them out when they are first touched, but they are not given
// back; and the race detector sees them there.
type memory struct {
	hot  []hotPage
	cold []coldPage
}

func reserve(n int, _ bool) memory { return memory{make([]hotPage, n), make([]coldPage, n)} }

func (*memory) release(_, _ int) {}
