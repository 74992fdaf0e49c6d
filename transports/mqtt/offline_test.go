package mqtt_test

import (
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// away connects without a clean start, does what it is told, and leaves; it
// tells whether a session was there.
func (r *rig) away(v byte, token, id string, do func(c *client)) bool {
	c := r.dial(v)
	c.send(connect(v, hello{user: token, id: id, props: []byte{0x11, 0, 0, 1, 0}}))
	got := c.connack()
	require.Equal(r.t, byte(0), got.code)
	do(c)
	c.send([]byte{0xE0, 0})
	c.wantEnd()
	eventually(r.t, "gone", func() bool { return r.srv.Stats().Connections == 0 })
	return got.present == 1
}

func nothingMore(*client) {}

func TestOffline_aDeviceHasEight(t *testing.T) {
	each(t, func(t *testing.T, v byte) {
		r := newRig(t)
		require.False(t, r.away(v, "tok2", "honest", nothingMore))
		for i := range 10 {
			require.False(t, r.away(v, "tok1", "c"+strconv.Itoa(i), nothingMore))
		}
		require.Equal(t, 9, r.srv.Stats().Sessions)
		require.True(t, r.away(v, "tok1", "c2", nothingMore), "and now the youngest")
		require.False(t, r.away(v, "tok1", "c1", nothingMore), "was the oldest but one")
		require.False(t, r.away(v, "tok1", "c3", nothingMore), "has made room for c1")
		require.True(t, r.away(v, "tok1", "c2", nothingMore))
		require.True(t, r.away(v, "tok2", "honest", nothingMore))
	})
}

func TestOffline_subscriptionsAreKept(t *testing.T) {
	response := attributes + "/response/"
	each(t, func(t *testing.T, v byte) {
		r := newRig(t)
		var id [][]byte
		if v == 5 {
			id = [][]byte{{0x0B, 9}}
		}
		r.away(v, "tok1", "c", func(c *client) {
			c.send(frame(0x82, []byte{0, 1}, props(v, id...), text(response+"007"), []byte{0}))
			c.want(0x90)
		})
		require.True(t, r.away(v, "tok1", "c", func(c *client) {
			c.send(publish(v, 0, 0, attributes+"/request/007", `{}`))
			require.Equal(t, string(text(response+"007"))+string(props(v, id...))+`{"client":{"a":1}}`, string(c.want(0x30).body))
			c.send(unsubscribe(v, 2, response+"007"))
			if body := c.want(0xB0).body; v == 5 {
				require.Equal(t, byte(0), body[len(body)-1])
			}
		}))
		r.away(v, "tok1", "c", func(c *client) {
			c.send(publish(v, 0, 0, attributes+"/request/007", `{}`))
			eventually(t, "dropped", func() bool { return r.srv.Stats().Dropped == 1 })
			c.ping()
		})
	})
}

// A session that holds more than it may offline is not kept.
func TestOffline_tooManyIdentifiers(t *testing.T) {
	r := newRig(t)
	r.away(4, "tok1", "c", func(c *client) {
		for i := range 2049 {
			c.send(publish(4, 2, uint16(i*31+1), "nowhere", ""))
			c.wantAck(0x50, uint16(i*31+1), 0)
		}
	})
	require.Zero(t, r.srv.Stats().Sessions)
	require.False(t, r.away(4, "tok1", "c", nothingMore))
}

func TestFilters_areBounded(t *testing.T) {
	many := slices.Repeat([]string{attributes}, 65)
	each(t, func(t *testing.T, v byte) {
		r := newRig(t)
		c := r.join(v, "tok1", "c")
		c.send(subscribe(v, 1, many[:64]...))
		c.want(0x90)
		c.send(unsubscribe(v, 2, many[:64]...))
		c.want(0xB0)
		c.send(subscribe(v, 1, many...))
		c.wantBye(0x97)
		c = r.join(v, "tok1", "d")
		c.send(unsubscribe(v, 2, slices.Repeat([]string{""}, 15_000)...))
		c.wantBye(0x97)
		eventually(t, "told", func() bool { return len(r.presence.list()) == 4 })
		require.Equal(t, "-dev1/d: too many filters", r.presence.list()[3])
	})
}

func TestUnpromised(t *testing.T) {
	each(t, func(t *testing.T, v byte) {
		r := newRig(t)
		c := r.join(v, "tok1", "c")
		for qos := range byte(3) {
			c.send(publish(v, qos, uint16(qos), telemetry, `{}`))
		}
		c.want(0x40)
		c.want(0x50)
		for qos, k := range r.store.stored() {
			require.Equal(t, qos == 0, k.loose)
		}
	})
}
