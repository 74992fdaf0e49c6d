//go:build !amd64

package quota

import "unsafe"

// prefetch does nothing: what it would fetch is waited for when it is used.
func prefetch(unsafe.Pointer) {}
