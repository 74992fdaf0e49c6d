package mqtt_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/quota"
)

// limited is a rig with one policy of a quota a minute.
func limited(t *testing.T, p quota.PolicyConfig, n uint32) *rig {
	t.Helper()
	p.Name, p.Buckets = "p", []quota.Bucket{{Quota: n, Window: time.Minute}}
	e, err := quota.NewEngine(&quota.EngineConfig{Policies: []quota.PolicyConfig{p}})
	require.NoError(t, err)
	return newLimitedRig(t, e)
}

func TestADevicesMessagesAreLimited(t *testing.T) {
	each(t, func(t *testing.T, v byte) {
		r := limited(t, quota.PolicyConfig{Level: quota.LevelDevice, Class: quota.Messages}, 3)
		c := r.join(v, "tok1", "a")
		c.send(publish(v, 1, 1, telemetry, "[{},{}]"))
		c.wantAck(0x40, 1, 0)
		c.send(publish(v, 0, 0, telemetry, "{}"))
		c.send(publish(v, 0, 0, telemetry, "{}")) // dropped
		c.ping()
		require.Len(t, r.store.stored(), 2)
		other := r.join(v, "tok2", "a")
		other.send(publish(v, 1, 1, telemetry, "[{},{},{}]"))
		other.wantAck(0x40, 1, 0)
		if v == 5 {
			c.send(publish(v, 1, 2, telemetry, "{}"))
			require.Contains(t, c.wantAck(0x40, 2, 0x97), "quota exceeded: policy p, used 3 of 3")
			c.send(publish(v, 2, 3, telemetry, "[{},{},{},{}]"))
			require.Contains(t, c.wantAck(0x50, 3, 0x97), "costs more than the whole quota")
			c.ping()
			return
		}
		c.send(publish(v, 1, 2, telemetry, "{}"))
		c.wantEnd()
	})
}

func TestAProfileOfThingsBoardEndsTheSession(t *testing.T) {
	each(t, func(t *testing.T, v byte) {
		r := limited(t, quota.PolicyConfig{Level: quota.LevelDevice, Profile: quota.ThingsBoard}, 3)
		c := r.join(v, "tok1", "a") // 1: in total, CONNECT counts
		c.send(publish(v, 1, 1, telemetry, "{}"))
		c.wantAck(0x40, 1, 0)
		c.ping()
		c.send(frame(0xC0))
		c.wantBye(0x97)
	})
}

func TestSubscriptionsAreRefusedInTheirAcknowledgement(t *testing.T) {
	r := limited(t, quota.PolicyConfig{Level: quota.LevelDevice}, 2)
	c := r.join(5, "tok1", "a")
	c.send(subscribe(5, 1, attributes))
	require.Equal(t, byte(0x90), c.want(0x90).head)
	c.send(subscribe(5, 2, attributes))
	require.Equal(t, byte(0x97), last(c.want(0x90).body))
	c.ping() // standard answers it all the same
}

func last(b []byte) byte { return b[len(b)-1] }

func TestConnectsAreLimitedByClient(t *testing.T) {
	for _, v := range []struct{ version, code byte }{{4, 3}, {5, 0x9F}} {
		r := limited(t, quota.PolicyConfig{Level: quota.LevelClient, Class: quota.Connects}, 1)
		try := func(id string) byte {
			c := r.dial(v.version)
			c.send(connect(v.version, hello{user: "tok1", id: id, clean: true}))
			return c.connack().code
		}
		require.Equal(t, []byte{0, v.code, 0}, []byte{try("a"), try("a"), try("b")})
		require.Equal(t, []byte{0, v.code}, []byte{try(""), try("")}, "no name of its own is no new budget")
	}
}
