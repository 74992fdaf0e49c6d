package bus

import "errors"

// Errors of this package. They are returned as they are, so that they compare
// with == and a refusal allocates nothing.
var (
	// ErrFull says that the queue holds as much as Config.Limit or
	// Config.LimitBytes allows; for an unpromised message, half as much.
	ErrFull = errors.New("bus: too many messages wait for the store")
	// ErrAway says that the store did not confirm the message within
	// Config.Timeout, or cannot take any now: NATS is away, the disk is full, or
	// the stream is full and refuses. The message may have been stored.
	ErrAway = errors.New("bus: the store is away")
	// ErrSubject says that the names make a subject over MaxSubject bytes.
	ErrSubject = errors.New("bus: names too long for a subject")
	// ErrTooLarge says that the message is over what NATS or the stream takes.
	ErrTooLarge = errors.New("bus: message too large for NATS")
	// ErrNoService says that nobody listens for the question.
	ErrNoService = errors.New("bus: no service listens")
	// ErrTimeout says that somebody listens, but did not answer in time.
	ErrTimeout = errors.New("bus: the service did not answer in time")
	// ErrClosed says that the Bus was closed.
	ErrClosed = errors.New("bus: closed")
)

// errLargeRequest is the answer to a request that the gateway does not pass on.
var errLargeRequest = errors.New("the request is over 16 KiB")
