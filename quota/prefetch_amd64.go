package quota

// prefetch starts to fetch the cache line b and does not wait for them.
// Go has no such instruction for us; with loads in its place a batch costs four
// times as much, since a processor holds few instructions that wait.
//
//go:noescape
func prefetch(b *bucket)
