//go:build unix

package mqtt

import (
	"errors"
	"syscall"
)

// canWriteNow tells whether tryWrite works here.
const canWriteNow = true

// tryWrite writes what the socket takes without waiting. Go's sockets do not
// block, so that a full one says so.
func tryWrite(fd uintptr, b []byte) (int, error) {
	for {
		n, err := syscall.Write(int(fd), b)
		switch {
		case err == nil:
			return n, nil
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EAGAIN):
			return 0, nil
		default:
			return 0, err
		}
	}
}
