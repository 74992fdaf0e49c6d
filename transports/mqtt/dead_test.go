package mqtt_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// A device whose subjects do not fit could send nothing: it is told at once.
func TestConnect_nameTooLongForASubject(t *testing.T) {
	each(t, func(t *testing.T, v byte) {
		code := map[byte]byte{4: 2, 5: 0x85}[v]
		r := newRig(t)
		for _, token := range []string{"dots", "longer"} {
			c := r.dial(v)
			c.send(connect(v, hello{user: token, id: "c", clean: true}))
			require.Equal(t, code, c.connack().code, token)
			c.wantEnd()
		}
		r.join(v, "longest", "c")
	})
}

// MQTT 3.1.1 has no way to say no: its publish is kept as a dead letter and then
// acknowledged, or it is not acknowledged at all.
func TestPublish_refusedIsBuriedOrNotAcknowledged(t *testing.T) {
	for _, qos := range []byte{0, 1, 2} {
		t.Run(fmt.Sprint("QoS ", qos), func(t *testing.T) {
			ackHead := map[byte]byte{1: 0x40, 2: 0x50}[qos]
			t.Run("buried", func(t *testing.T) {
				r := newRig(t)
				r.store.setUp(errName)
				r.store.set(true, nil)
				c := r.join(4, "tok1", "c")
				c.send(publish(4, qos, 1, telemetry, `{"a":1}`))
				c.ping() // nothing is acknowledged yet
				dead := r.store.stored()
				require.Len(t, dead, 1)
				require.Equal(t, "name too long", dead[0].reason)
				require.Equal(t, `{"a":1}`, dead[0].payload)
				dead[0].done(nil)
				r.srv.Flush()
				if qos > 0 {
					c.wantAck(ackHead, 1, 0)
				}
				c.ping()
			})
			for _, payload := range []string{`{"a":1}`, `nope`} {
				for _, err := range []error{errName, errAway} {
					t.Run("not buried either "+payload+" "+err.Error(), func(t *testing.T) {
						r := newRig(t)
						r.store.set(false, err)
						c := r.join(4, "tok1", "c")
						c.send(publish(4, qos, 1, telemetry, payload))
						c.wantEnd()
					})
				}
			}
			t.Run("burial fails later", func(t *testing.T) {
				r := newRig(t)
				r.store.set(true, nil)
				c := r.join(4, "tok1", "c")
				c.send(publish(4, qos, 1, telemetry, `nope`))
				eventually(t, "submitted", func() bool { return len(r.store.stored()) == 1 })
				r.store.stored()[0].done(errName)
				r.srv.Flush()
				c.wantEnd()
			})
		})
	}
	t.Run("MQTT 5 is told", func(t *testing.T) {
		r := newRig(t)
		r.store.setUp(errName)
		c := r.join(5, "tok1", "c")
		c.send(publish(5, 1, 1, telemetry, `{}`), publish(5, 2, 2, telemetry, `{}`))
		c.wantAck(0x40, 1, 0x90)
		c.wantAck(0x50, 2, 0x90)
		require.Empty(t, r.store.stored())
	})
}
