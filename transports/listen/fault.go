package listen

import (
	"errors"
	"net"
	"syscall"
	"time"
)

// bindError is one line for the operator over the system's error.
type bindError struct {
	line string
	err  error
}

func (e *bindError) Error() string { return e.line }
func (e *bindError) Unwrap() error { return e.err }

// newBindError says which address could not be bound, why, and what to do.
func newBindError(address string, err error) error {
	return &bindError{"listen tcp " + address + ": " + bindHint(err), err}
}

func bindHint(err error) string {
	var addr *net.AddrError
	var dns *net.DNSError
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return "address already in use; stop what listens there or set another address"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "this machine has no such address; set one of its own, or 0.0.0.0 or [::] for all"
	case errors.Is(err, syscall.EACCES):
		return "permission denied; set a port over 1023 or grant CAP_NET_BIND_SERVICE"
	case errors.As(err, &addr):
		return addr.Err + "; expected host:port"
	case errors.As(err, &dns):
		return "the host name does not resolve; set an address"
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return op.Err.Error()
	}
	return err.Error()
}

// A pause after an Accept error grows from minPause to maxPause, as net/http's.
const (
	minPause = 5 * time.Millisecond
	maxPause = time.Second
)

// passing tells of an Accept error whether the next Accept may succeed.
func passing(err error) bool { return gone(err) || starved(err) }

// gone: the peer went away before it was accepted; the next one is there.
func gone(err error) bool {
	return errors.Is(err, syscall.ECONNABORTED) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPROTO) || errors.Is(err, syscall.EINTR)
}

// starved: the process or machine lacks files or memory.
func starved(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) ||
		errors.Is(err, syscall.ENOBUFS) || errors.Is(err, syscall.ENOMEM)
}

// pause waits after err, twice as long as the last time, until Close at most.
func (l *Listener) pause(err error, last time.Duration) time.Duration {
	if gone(err) {
		return 0
	}
	next := min(max(2*last, minPause), maxPause)
	timer := time.NewTimer(next)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.done:
	}
	return next
}
