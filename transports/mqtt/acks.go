package mqtt

import (
	"math/bits"

	"github.com/mochi-mqtt/server/v2/packets"
)

// ack is one acknowledgement owed to a client: PUBACK or PUBREC.
type ack struct {
	id   uint16
	kind byte // packets.Puback or packets.Pubrec
	code byte // reason code; 0 for success, never else for MQTT 3.1.1
	done bool
	full []byte // the packet itself, where it says more than a code
}

// acks are the acknowledgements a client is owed, in the order in which its
// publishes came, which is the order in which they must leave (MQTT-4.6.0-2).
// It is a ring that doubles; receiveMaximum bounds it.
type acks struct {
	ring []ack // a power of two long
	head uint64
	n    int
	// pubacks is how many of the n are of QoS 1.
	pubacks int
}

// push owes one more, and returns its tag.
func (q *acks) push(a ack) uint64 {
	if q.n == len(q.ring) {
		q.grow()
	}
	tag := q.head + uint64(q.n)
	q.n++
	if a.kind == packets.Puback {
		q.pubacks++
	}
	*q.slot(tag) = a
	return tag
}

func (q *acks) grow() { q.resize(max(8, 2*len(q.ring))) }

// trim makes the ring no longer than what is owed needs.
func (q *acks) trim() {
	switch {
	case q.n == 0:
		q.ring = nil
	case 2*q.n <= len(q.ring):
		q.resize(1 << bits.Len(uint(q.n-1)))
	}
}

// resize makes the ring n long, a power of two that all that is owed fits.
func (q *acks) resize(n int) {
	ring := make([]ack, n)
	for i := range q.n {
		tag := q.head + uint64(i)
		ring[tag&uint64(len(ring)-1)] = *q.slot(tag)
	}
	q.ring = ring
}

func (q *acks) slot(tag uint64) *ack { return &q.ring[tag&uint64(len(q.ring)-1)] }

// owed is what a tag stands for; nil if that was settled before.
func (q *acks) owed(tag uint64) *ack {
	if tag-q.head >= uint64(q.n) {
		return nil
	}
	if a := q.slot(tag); !a.done {
		return a
	}
	return nil
}

// pop appends to b all that are done, up to the first that is not.
func (q *acks) pop(b []byte) []byte {
	for q.n > 0 {
		a := q.slot(q.head)
		if !a.done {
			break
		}
		b = a.append(b)
		if a.kind == packets.Puback {
			q.pubacks--
		}
		*a = ack{}
		q.head++
		q.n--
	}
	return b
}

// append encodes the acknowledgement (MQTT 5 3.4, MQTT 3.1.1 3.4).
func (a *ack) append(b []byte) []byte {
	switch {
	case a.full != nil:
		return append(b, a.full...)
	case a.code == 0:
		return append(b, a.kind<<4, 2, byte(a.id>>8), byte(a.id))
	}
	return append(b, a.kind<<4, 3, byte(a.id>>8), byte(a.id), a.code)
}

// ackKind is the acknowledgement that a publish of QoS 1 or 2 gets.
func ackKind(qos byte) byte {
	if qos == 2 {
		return packets.Pubrec
	}
	return packets.Puback
}
