package bus

import "github.com/nats-io/nats.go"

// WithoutAtomic is c on streams that take no atomic batches, as a NATS older
// than 2.12 has them.
func WithoutAtomic(c *Config) *Config {
	c.noAtomic = true
	return c
}

// What tests in bus_test know of the inside.
const (
	Crossover  = crossover
	MaxBatch   = maxBatch
	StreamUp   = streamUp
	StreamDead = streamDead
	MaxEvents  = maxEvents

	MaxConsumers     = maxConsumers
	MaxClients       = maxClients
	MaxSubscriptions = maxSubscriptions
)

// BreakStore does what a failed write of the embedded server's does.
func (b *Bus) BreakStore() { b.storeBroken() }

// Stalls is how often a client of the embedded server was held up by another.
func (b *Bus) Stalls() int64 { return b.server.current.Load().NumStalledClients() }

// ReplyPrefix is where the up lane is answered.
func (b *Bus) ReplyPrefix() string { return b.up.replies.prefix }

// Conn is the gateway's connection to its streams.
func (b *Bus) Conn() *nats.Conn { return b.conn }

// HeaderValue is headerValue.
func HeaderValue(s string) string { return headerValue(s) }

// SubjectOf is subjectOf.
func SubjectOf(prefix, account, device, levels string) (string, error) {
	return subjectOf(prefix, account, device, levels)
}

type ignore struct{}

func (ignore) Complete(uint64, error) {}

// WriteBatches writes n messages, in one batch or singly, while more says so.
func WriteBatches(b *Bus, r *Record, n int, together bool, more func() bool) {
	subject, _ := subjectOf(prefixUp, r.Account, r.Device, r.Kind)
	ms := make([]*message, n)
	for more() {
		for i := range ms {
			ms[i] = newMessage(subject, r)
			ms[i].completer = ignore{}
		}
		if together {
			b.up.tryBatch(ms)
		} else {
			b.up.trySingly(ms)
			b.up.sweep()
		}
	}
}
