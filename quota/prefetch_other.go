//go:build !amd64

package quota

// prefetch fetches the cache line b.
func prefetch(b *bucket) {
	b[0].tag.Load()
}
