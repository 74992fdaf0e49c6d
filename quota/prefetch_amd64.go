package quota

import "unsafe"

// prefetch starts to fetch the cache line of p and does not wait for it. Go has
// no such instruction for us; with loads in its place a batch costs four times
// as much, since a processor holds few instructions that wait.
//
//go:noescape
func prefetch(p unsafe.Pointer)
