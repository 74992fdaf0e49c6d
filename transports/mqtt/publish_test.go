package mqtt_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPublish_isStoredByQoS(t *testing.T) {
	each(t, func(t *testing.T, v byte) {
		r := newRig(t)
		c := r.join(v, "tok1", "c")
		c.send(publish(v, 0, 0, telemetry, `{"a":0}`), publish(v, 1, 7, attributes, `{"a":1}`), publish(v, 2, 8, telemetry, `[{"a":2}]`))
		c.wantAck(0x40, 7, 0)
		c.wantAck(0x50, 8, 0)
		c.send(pubrel(8))
		c.wantAck(0x70, 8, 0)
		var got []string
		for _, k := range r.store.stored() {
			got = append(got, k.device+" "+k.kind.String()+" "+k.payload)
		}
		require.Equal(t, []string{`dev1 telemetry {"a":0}`, `dev1 attributes {"a":1}`, `dev1 telemetry [{"a":2}]`}, got)
		st := r.srv.Stats()
		require.Equal(t, [3]uint64{1, 1, 1}, st.Messages)
		require.Equal(t, 1, st.Connections)
	})
}

func TestPublish_isAcknowledgedOnceStoredAndInOrder(t *testing.T) {
	each(t, func(t *testing.T, v byte) {
		r := newRig(t)
		r.store.set(true, nil)
		c := r.join(v, "tok1", "c")
		c.send(publish(v, 1, 1, telemetry, `{"a":1}`), publish(v, 2, 2, telemetry, `{"a":2}`),
			publish(v, 1, 3, "elsewhere", `x`), publish(v, 1, 4, telemetry, `{"a":4}`))
		c.ping() // which overtakes what is not stored
		held := r.store.stored()
		require.Len(t, held, 3)
		held[2].done(nil)
		held[1].done(nil)
		r.srv.Flush()
		c.ping() // the first is not stored: nothing has left
		held[0].done(nil)
		r.srv.Flush()
		nowhere := byte(0)
		if v == 5 {
			nowhere = 0x10
		}
		c.wantAck(0x40, 1, 0)
		c.wantAck(0x50, 2, 0)
		c.wantAck(0x40, 3, nowhere)
		c.wantAck(0x40, 4, 0)
	})
}

func TestFlush_writesAcknowledgementsTogether(t *testing.T) {
	r := newRig(t)
	r.store.set(true, nil)
	c := r.join(4, "tok1", "c")
	for i := range 16 {
		c.send(publish(4, 1, uint16(i+1), telemetry, `{}`))
	}
	c.ping()
	for _, k := range r.store.stored() {
		k.done(nil)
	}
	r.srv.Flush()
	one := make([]byte, 1024)
	n, err := c.Read(one)
	require.NoError(t, err)
	require.Equal(t, 16*4, n, "bytes of one write")
}

func TestPublish_storeAwayIsNeverAcknowledged(t *testing.T) {
	each(t, func(t *testing.T, v byte) {
		for _, qos := range []byte{1, 2} {
			t.Run(fmt.Sprint("refused, QoS ", qos), func(t *testing.T) {
				r := newRig(t)
				r.store.set(false, errAway)
				c := r.join(v, "tok1", "c")
				c.send(publish(v, qos, 1, telemetry, `{}`))
				c.wantBye(0x89)
			})
			t.Run(fmt.Sprint("failed, QoS ", qos), func(t *testing.T) {
				r := newRig(t)
				r.store.set(true, nil)
				c := r.join(v, "tok1", "c")
				c.send(publish(v, qos, 1, telemetry, `{}`))
				eventually(t, "submitted", func() bool { return len(r.store.stored()) == 1 })
				r.store.stored()[0].done(errAway)
				r.srv.Flush()
				c.wantBye(0x89)
				eventually(t, "told", func() bool { return len(r.presence.list()) == 2 })
				require.Equal(t, "-dev1/c: store unavailable", r.presence.list()[1])
			})
		}
	})
}

func TestPublish_badPayload(t *testing.T) {
	r := newRig(t)
	c := r.join(5, "tok1", "c")
	c.send(publish(5, 0, 0, telemetry, `nope`), publish(5, 1, 1, telemetry, `nope`), publish(5, 2, 2, attributes, `[1]`))
	require.Contains(t, c.wantAck(0x40, 1, 0x83), "not JSON")
	require.Contains(t, c.wantAck(0x50, 2, 0x83), "expected a JSON object")
	require.Empty(t, r.store.stored())
	require.Equal(t, uint64(1), r.srv.Stats().Dropped)

	old := r.join(4, "tok1", "d")
	r.store.set(true, nil)
	old.send(publish(4, 0, 0, telemetry, `nope`), publish(4, 1, 1, telemetry, `nope`))
	old.ping()
	for _, k := range r.store.stored() {
		require.Contains(t, k.reason, "not JSON")
		k.done(nil)
	}
	r.srv.Flush()
	old.wantAck(0x40, 1, 0)
	require.Len(t, r.store.stored(), 2)
}

func TestPublish_unknownTopicsAreAcknowledgedAndReachNobody(t *testing.T) {
	each(t, func(t *testing.T, v byte) {
		r := newRig(t)
		listener := r.join(v, "tok2", "l")
		listener.send(subscribe(v, 1, attributes))
		listener.want(0x90)
		c := r.join(v, "tok1", "c")
		code := byte(0)
		if v == 5 {
			code = 0x10
		}
		for i, topic := range []string{"a", "$SYS/broker/version", "v1/devices/me/rpc/response/1", "v1/gateway/telemetry",
			attributes + "/", attributes + "/request/x", attributes + "/response/1", "/", "a.b>*c d"} {
			c.send(publish(v, 1, uint16(i+1), topic, `{}`))
			c.wantAck(0x40, uint16(i+1), code)
		}
		c.send(publish(v, 1, 99, attributes, `{"x":1}`))
		c.wantAck(0x40, 99, 0)
		listener.ping() // nothing came
		require.Len(t, r.store.stored(), 1)
	})
}

func TestPublish_topicAlias(t *testing.T) {
	r := newRig(t)
	alias := func(n byte) []byte { return []byte{0x23, 0, n} }
	c := r.join(5, "tok1", "c")
	c.send(publish(5, 1, 1, telemetry, `{"a":1}`, alias(3)), publish(5, 1, 2, "", `{"a":2}`, alias(3)))
	c.wantAck(0x40, 1, 0)
	c.wantAck(0x40, 2, 0)
	require.Len(t, r.store.stored(), 2)
	c.send(publish(5, 1, 3, "", `{}`, alias(4)))
	c.wantBye(0x82)

	c = r.join(5, "tok1", "c")
	c.send(publish(5, 1, 1, telemetry, `{}`, alias(17)))
	c.wantBye(0x94)
}

func TestPublish_qos2IsStoredOnce(t *testing.T) {
	each(t, func(t *testing.T, v byte) {
		r := newRig(t)
		r.store.set(true, nil)
		c := r.join(v, "tok1", "c")
		again := publish(v, 2, 5, telemetry, `{}`)
		again[0] |= 8
		c.send(publish(v, 2, 5, telemetry, `{}`), again)
		c.ping()
		require.Len(t, r.store.stored(), 1)
		r.store.stored()[0].done(nil)
		r.srv.Flush()
		c.wantAck(0x50, 5, 0)
		c.send(again)
		c.wantAck(0x50, 5, 0)
		require.Len(t, r.store.stored(), 1)
		c.send(pubrel(5))
		c.wantAck(0x70, 5, 0)
		unknown := byte(0)
		if v == 5 {
			unknown = 0x92
		}
		c.send(pubrel(5))
		c.wantAck(0x70, 5, unknown)
		c.send(publish(v, 2, 5, telemetry, `{}`)) // the identifier is free again
		c.ping()
		require.Len(t, r.store.stored(), 2)
	})
}

func TestPublish_qos2SurvivesItsConnection(t *testing.T) {
	each(t, func(t *testing.T, v byte) {
		r := newRig(t)
		r.store.set(true, nil)
		stay := hello{user: "tok1", id: "c", props: []byte{0x11, 0, 0, 1, 0}}
		c := r.dial(v)
		c.send(connect(v, stay))
		require.Equal(t, byte(0), c.connack().present)
		c.send(publish(v, 2, 1, telemetry, `{"a":1}`), publish(v, 2, 2, telemetry, `{"a":2}`))
		c.ping()
		held := r.store.stored()
		held[0].done(nil)
		r.srv.Flush()
		c.wantAck(0x50, 1, 0)

		c = r.dial(v) // takes over
		c.send(connect(v, stay))
		require.Equal(t, byte(1), c.connack().present)
		c.send(publish(v, 2, 1, telemetry, `{"a":1}`), publish(v, 2, 2, telemetry, `{"a":2}`))
		c.wantAck(0x50, 1, 0)
		c.ping()
		held[1].done(nil) // as the first connection's; the second one is told
		r.srv.Flush()
		c.wantAck(0x50, 2, 0)
		c.send(pubrel(1), pubrel(2))
		c.wantAck(0x70, 1, 0)
		c.wantAck(0x70, 2, 0)
		require.Len(t, r.store.stored(), 2)
	})
}

func TestPublish_retain(t *testing.T) {
	r := newRig(t)
	retained := func(v byte) []byte {
		p := publish(v, 1, 1, telemetry, `{}`)
		p[0] |= 1
		return p
	}
	old := r.join(4, "tok1", "c")
	old.send(retained(4))
	old.wantAck(0x40, 1, 0)
	c := r.join(5, "tok1", "d")
	c.send(retained(5))
	c.wantBye(0x9A)
}
