//go:build !unix

package mqtt

import "errors"

// canWriteNow tells whether tryWrite works here; where it does not, a goroutine
// a connection waits for the socket.
const canWriteNow = false

func tryWrite(uintptr, []byte) (int, error) { return 0, errors.ErrUnsupported }
