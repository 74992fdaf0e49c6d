package mqtt_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPublish_receiveMaximum(t *testing.T) {
	r := newRig(t)
	r.store.set(true, nil)
	c := r.join(5, "tok1", "c")
	for i := range 1025 {
		c.send(publish(5, 1, uint16(i+1), telemetry, `{}`))
	}
	c.wantBye(0x93)
	require.Len(t, r.store.stored(), 1024)
}

func TestPublish_oldClientIsNotReadWhileTooMuchIsOwed(t *testing.T) {
	r := newRig(t)
	r.store.set(true, nil)
	c := r.join(4, "tok1", "c")
	for i := range 1100 {
		c.send(publish(4, 1, uint16(i+1), telemetry, `{}`))
	}
	eventually(t, "the window fills", func() bool { return len(r.store.stored()) == 1024 })
	r.store.set(false, nil)
	for _, k := range r.store.stored() {
		k.done(nil)
	}
	r.srv.Flush()
	for i := range 1100 {
		c.wantAck(0x40, uint16(i+1), 0)
	}
	require.Len(t, r.store.stored(), 1100)
}

// flood is n QoS 2 publishes, from id 1 on.
func flood(v byte, n int) []byte {
	var all []byte
	for i := range n {
		all = append(all, publish(v, 2, uint16(i+1), telemetry, `{}`)...)
	}
	return all
}

// again is a PUBLISH sent once more.
func again(p []byte) []byte {
	p = slices.Clone(p)
	p[0] |= 8
	return p
}

// stay is a client whose session outlives its connection.
var stay = hello{user: "tok1", id: "c", props: []byte{0x11, 0, 0, 1, 0}}

func (r *rig) rejoin(v, present byte) *client {
	c := r.dial(v)
	c.send(connect(v, stay))
	got := c.connack()
	require.Equal(r.t, byte(0), got.code)
	require.Equal(r.t, present, got.present)
	return c
}

// A full Receive Maximum of QoS 2 messages may be sent again after a loss
// (MQTT-4.4.0-1): the window is the new connection's (MQTT 5 4.9).
func TestWindow_qos2IsSentAgain(t *testing.T) {
	each(t, func(t *testing.T, v byte) {
		r := newRig(t)
		c := r.rejoin(v, 0)
		c.send(flood(v, 1024))
		for i := range 1024 {
			c.wantAck(0x50, uint16(i+1), 0)
		}
		c = r.rejoin(v, 1) // takes over
		for i := range 1024 {
			c.send(again(publish(v, 2, uint16(i+1), telemetry, `{}`)))
			c.wantAck(0x50, uint16(i+1), 0)
		}
		for i := range 1024 {
			c.send(pubrel(uint16(i + 1)))
			c.wantAck(0x70, uint16(i+1), 0)
		}
		require.Len(t, r.store.stored(), 1024, "each once")
		c.send(publish(v, 2, 1, telemetry, `{}`))
		c.wantAck(0x50, 1, 0)
	})
}

// A client that resumes with PUBRELs to send may fill its window anew meanwhile.
func TestWindow_isTheConnections(t *testing.T) {
	r := newRig(t)
	c := r.rejoin(5, 0)
	c.send(flood(5, 1024))
	for i := range 1024 {
		c.wantAck(0x50, uint16(i+1), 0)
	}
	c = r.rejoin(5, 1)
	for i := range 1024 {
		id := uint16(i + 2000)
		c.send(publish(5, 2, id, telemetry, `{}`))
		c.wantAck(0x50, id, 0)
	}
	c.send(publish(5, 2, 4000, telemetry, `{}`))
	c.wantBye(0x93)
}

// Stored and not yet acknowledged counts once.
func TestWindow_qos2CountsOnce(t *testing.T) {
	r := newRig(t)
	r.store.set(true, nil)
	c := r.join(5, "tok1", "c")
	c.send(flood(5, 1024))
	eventually(t, "submitted", func() bool { return len(r.store.stored()) == 1024 })
	for _, k := range r.store.stored()[1:] {
		k.done(nil) // none may leave before the first
	}
	r.srv.Flush()
	c.send(again(publish(5, 2, 2, telemetry, `{}`)))
	r.store.stored()[0].done(nil)
	r.srv.Flush()
	for i := range 1024 {
		c.wantAck(0x50, uint16(i+1), 0)
	}
	c.wantAck(0x50, 2, 0)
	c.send(publish(5, 2, 1025, telemetry, `{}`))
	c.wantBye(0x93)
}

// Refused QoS 2 messages leave the window with their PUBREC.
func TestWindow_refusedQoS2IsOutAgain(t *testing.T) {
	r := newRig(t)
	c := r.join(5, "tok1", "c")
	for i := range 1100 {
		c.send(publish(5, 2, uint16(i+1), telemetry, `nope`))
		c.wantAck(0x50, uint16(i+1), 0x83)
	}
	for i := range 1100 {
		c.send(publish(5, 2, uint16(i+1), telemetry, `{}`))
		c.wantAck(0x50, uint16(i+1), 0)
		c.send(pubrel(uint16(i + 1)))
		c.wantAck(0x70, uint16(i+1), 0)
	}
}

// MQTT 3.1.1 knows no window: what it sends at once is read to its end, for the
// PUBRELs come after it.
func TestWindow_oldClientIsNeverClosedForIt(t *testing.T) {
	r := newRig(t)
	c := r.rejoin(4, 0)
	c.send(flood(4, 1500))
	for i := range 1500 {
		c.wantAck(0x50, uint16(i+1), 0)
	}
	c = r.rejoin(4, 1)
	c.send(again(publish(4, 2, 1, telemetry, `{}`)), publish(4, 2, 1501, telemetry, `{}`))
	c.wantAck(0x50, 1, 0)
	c.wantAck(0x50, 1501, 0)
	for i := range 1501 {
		c.send(pubrel(uint16(i + 1)))
		c.wantAck(0x70, uint16(i+1), 0)
	}
	require.Len(t, r.store.stored(), 1501)
}

// What is owed to a client is bounded, however often it repeats itself.
func TestWindow_repetitionsWait(t *testing.T) {
	each(t, func(t *testing.T, v byte) {
		r := newRig(t)
		c := r.join(v, "tok1", "c")
		c.send(publish(v, 2, 1, telemetry, `{}`))
		c.wantAck(0x50, 1, 0)
		r.store.set(true, nil)
		c.send(publish(v, 1, 2, telemetry, `{}`))
		for range 1100 {
			c.send(again(publish(v, 2, 1, telemetry, `{}`)))
		}
		eventually(t, "the window fills", func() bool { return r.srv.Stats().Messages[2] == 1025 })
		r.store.stored()[1].done(nil)
		r.srv.Flush()
		c.wantAck(0x40, 2, 0)
		for range 1100 {
			c.wantAck(0x50, 1, 0)
		}
		c.ping()
	})
}
