package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// The streams and their subjects (contract section 5).
const (
	streamUp     = "WEIR_UP"
	streamDead   = "WEIR_DEAD"
	streamEvents = "WEIR_EVENTS"

	prefixUp     = "weir.up"
	prefixDead   = "weir.dead"
	prefixEvents = "weir.events"
	prefixCall   = "weir.call"
)

// What WEIR_DEAD and WEIR_EVENTS keep (contract section 5).
const (
	deadBytes   = 256 << 20
	eventsBytes = 256 << 20
	sideAge     = 30 * 24 * time.Hour
)

// duplicateWindow is how long a message id is remembered; each costs the
// server some 129 bytes of memory.
const duplicateWindow = 2 * time.Minute

// streamsTimeout bounds the work on one stream.
const streamsTimeout = 5 * time.Second

// wanted lists the streams as they are to be.
func (c *Config) wanted() []jetstream.StreamConfig {
	side := func(name, prefix string, size int64) jetstream.StreamConfig {
		return jetstream.StreamConfig{
			Name: name, Subjects: []string{prefix + ".>"}, MaxAge: sideAge, MaxBytes: size,
			Replicas: c.Up.Replicas, Duplicates: duplicateWindow, AllowDirect: true,
		}
	}
	up := side(streamUp, prefixUp, c.Up.MaxBytes)
	up.MaxAge = c.Up.MaxAge
	up.Duplicates = min(duplicateWindow, c.Up.MaxAge)
	if c.Up.WhenFull == Refuse {
		up.Discard = jetstream.DiscardNew
	}
	dead := side(streamDead, prefixDead, deadBytes)
	up.AllowAtomicPublish, dead.AllowAtomicPublish = !c.noAtomic, !c.noAtomic
	return []jetstream.StreamConfig{up, dead, side(streamEvents, prefixEvents, eventsBytes)}
}

// ensureStreams creates the streams, or brings them to their limits, and tells
// whether atomic batches can be written.
func ensureStreams(ctx context.Context, conn *nats.Conn, cfg *Config) (atomic bool, err error) {
	js, err := jetstream.New(conn)
	if err != nil {
		return false, err
	}
	atomic = true
	for _, want := range cfg.wanted() {
		got, err := ensureStream(ctx, js, &want)
		if err != nil {
			return false, streamFault(want.Name, err)
		}
		if want.Name == streamUp || want.Name == streamDead {
			atomic = atomic && got.AllowAtomicPublish
		}
	}
	return atomic, nil
}

var errForeign = errors.New("keeps other subjects than weir's: delete it or use another NATS account")

// ensureStream is one stream's configuration after it was made to be want. What
// an operator added to a stream of ours (placement, tags, compression) stays.
func ensureStream(ctx context.Context, js jetstream.JetStream, want *jetstream.StreamConfig) (*jetstream.StreamConfig, error) {
	ctx, cancel := context.WithTimeout(ctx, streamsTimeout)
	defer cancel()
	s, err := js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		s, err = js.CreateStream(ctx, *want)
	}
	if err != nil {
		return nil, err
	}
	have := s.CachedInfo().Config
	if !slices.Equal(have.Subjects, want.Subjects) || have.Mirror != nil || len(have.Sources) > 0 {
		return nil, errForeign
	}
	if meets(&have, want) {
		return &have, nil
	}
	next := have
	next.MaxAge, next.MaxBytes, next.Discard = want.MaxAge, want.MaxBytes, want.Discard
	next.Replicas, next.Duplicates = want.Replicas, want.Duplicates
	next.AllowDirect, next.AllowAtomicPublish = want.AllowDirect, want.AllowAtomicPublish
	if s, err = js.UpdateStream(ctx, next); err != nil {
		return nil, err
	}
	return &s.CachedInfo().Config, nil
}

func meets(have, want *jetstream.StreamConfig) bool {
	return have.MaxAge == want.MaxAge && have.MaxBytes == want.MaxBytes && have.Discard == want.Discard &&
		have.Replicas == want.Replicas && have.Duplicates == want.Duplicates &&
		have.AllowDirect == want.AllowDirect && have.AllowAtomicPublish == want.AllowAtomicPublish
}

// streamFault says what an operator can do about a stream.
func streamFault(name string, err error) error {
	var api *jetstream.APIError
	switch {
	case errors.As(err, &api) && api.ErrorCode == 10065: // subjects overlap with an existing stream
		err = errors.New("another stream keeps its subjects: delete that or use another NATS account")
	case errors.As(err, &api) && api.ErrorCode == codeStorageFull:
		err = errors.New("it may not grow so large here: lower nats.up.maxBytes or give JetStream more storage")
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, jetstream.ErrJetStreamNotEnabled):
		err = errors.New("this NATS has no JetStream: enable it for weir's account")
	case errors.Is(err, context.DeadlineExceeded):
		err = errors.New("JetStream does not answer")
	}
	return fmt.Errorf("nats: stream %s: %w", name, err)
}
