package bus

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"
)

// Call asks a device's question of whatever service listens at
// weir.call.<account>.<device>.<name>, and blocks until its answer, which is
// no larger than the server's max_payload, or ctx's end. The errors are ErrNoService,
// ErrTimeout, ErrAway, ErrSubject and ErrTooLarge. It is safe for concurrent use.
func (b *Bus) Call(ctx context.Context, account, device, name string, question []byte) ([]byte, error) {
	subject, err := subjectOf(prefixCall, account, device, name)
	if err != nil {
		return nil, err
	}
	answer, err := b.peers.RequestWithContext(ctx, subject, question)
	switch {
	case err == nil:
		return answer.Data, nil
	case errors.Is(err, nats.ErrNoResponders):
		return nil, ErrNoService
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return nil, b.silenceOf()
	case errors.Is(err, nats.ErrMaxPayload):
		return nil, ErrTooLarge
	}
	return nil, ErrAway
}

// silenceOf is why no answer came.
func (b *Bus) silenceOf() error {
	if !b.peers.IsConnected() {
		return ErrAway
	}
	return ErrTimeout
}
