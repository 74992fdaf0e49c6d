//go:build !amd64

package quota

// prefetch fetches the two cache lines of b.
func prefetch(b *bucket) {
	b[0].tag.Load()
	b[bucketSlots/2].tag.Load()
}
