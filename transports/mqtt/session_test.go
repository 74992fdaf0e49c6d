package mqtt_test

import (
	"context"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/devices"
	"github.com/weirgate/weir/hostlist"
	"github.com/weirgate/weir/quota"
	"github.com/weirgate/weir/transports/mqtt"
)

// What a live session hears when its packet is over quota.
func TestOverQuota(t *testing.T) {
	const (
		nothing = iota // the session goes on
		acked          // with success
		told           // 0x97 or 0x80 in the acknowledgement
		ended          // DISCONNECT 0x97, or closed
	)
	packets := []struct {
		name        string
		head        byte // of the acknowledgement
		make        func(v byte) []byte
		tb, st4, st int // thingsboard; standard over 3.1.1 and 5
	}{
		{"PUBLISH QoS 0", 0, func(v byte) []byte { return publish(v, 0, 0, telemetry, `{}`) }, ended, nothing, nothing},
		{"PUBLISH QoS 1", 0x40, func(v byte) []byte { return publish(v, 1, 1, telemetry, `{}`) }, ended, ended, told},
		{"PUBLISH QoS 2", 0x50, func(v byte) []byte { return publish(v, 2, 1, telemetry, `{}`) }, ended, ended, told},
		{"SUBSCRIBE", 0x90, func(v byte) []byte { return subscribe(v, 1, attributes) }, ended, told, told},
		{"UNSUBSCRIBE", 0xB0, func(v byte) []byte { return unsubscribe(v, 1, attributes) }, ended, acked, acked},
		{"PINGREQ", 0xD0, func(byte) []byte { return []byte{0xC0, 0} }, ended, acked, acked},
		{"PUBREL of nothing", 0x70, func(byte) []byte { return pubrel(9) }, ended, acked, acked},
	}
	for _, p := range packets {
		for _, profile := range []quota.Profile{quota.ThingsBoard, quota.Standard, quota.Bandwidth} {
			t.Run(p.name+"/"+profile.String(), func(t *testing.T) {
				each(t, func(t *testing.T, v byte) {
					want := p.tb
					switch {
					case profile != quota.ThingsBoard && v == 5:
						want = p.st
					case profile != quota.ThingsBoard:
						want = p.st4
					}
					r := newRig(t)
					c := r.join(v, "tok1", "c")
					r.quota.leave(0, profile)
					before := r.quota.charged()
					c.send(p.make(v))
					switch want {
					case ended:
						said := c.wantBye(0x97)
						if v == 5 {
							require.Contains(t, said, "policy host, used 10 of 10, retry after 5 s")
							require.Contains(t, said, "\x00\x06policy\x00\x04host")
							require.Contains(t, said, "\x00\x0bretry-after\x00\x015")
						}
					case acked:
						c.want(p.head)
					case told:
						said := c.want(p.head).body
						switch {
						case v == 5:
							require.Contains(t, string(said), "retry after 5 s")
							require.Contains(t, said, byte(0x97))
						default:
							require.Equal(t, []byte{0, 1, 0x80}, said)
						}
					}
					eventually(t, "charged", func() bool { return r.quota.charged() > before })
					require.Equal(t, before+1, r.quota.charged(), "charged once")
					require.Empty(t, r.store.stored())
					if want != ended {
						r.quota.leave(1, profile)
						c.ping()
					}
				})
			})
		}
	}
}

func TestOverQuota_disconnectJustEnds(t *testing.T) {
	each(t, func(t *testing.T, v byte) {
		r := newRig(t)
		c := r.join(v, "tok1", "c")
		r.quota.leave(0, quota.ThingsBoard)
		c.send([]byte{0xE0, 0})
		c.wantEnd()
		eventually(t, "told", func() bool { return len(r.presence.list()) == 2 })
		require.Equal(t, "-dev1/c: client disconnected", r.presence.list()[1])
	})
}

// Acknowledgements of packets in flight are free; those of nothing are not.
func TestCharge_acknowledgements(t *testing.T) {
	r := newRig(t)
	c := r.join(4, "tok1", "c")
	c.send(publish(4, 2, 1, telemetry, `{}`))
	c.wantAck(0x50, 1, 0)
	require.Equal(t, 2, r.quota.charged())
	c.send(pubrel(1))
	c.wantAck(0x70, 1, 0)
	require.Equal(t, 2, r.quota.charged())
	c.send(pubrel(1))
	c.wantAck(0x70, 1, 0)
	c.send([]byte{0x40, 2, 0, 1}, []byte{0x50, 2, 0, 1}, []byte{0x70, 2, 0, 1})
	c.ping()
	require.Equal(t, 7, r.quota.charged())
}

func TestSubscribe(t *testing.T) {
	tests := []struct {
		filter string
		ok     bool
	}{
		{attributes, true},
		{attributes + "/response/+", true},
		{attributes + "/response/12", true},
		{"v1/devices/me/rpc/request/+", true},
		{"v1/devices/me/rpc/response/+", true},
		{"#", false}, {"+", false}, {"+/devices/me/attributes", false}, {"v1/devices/me/#", false},
		{"v1/devices/me/attributes/#", false}, {"v1/devices/me/+", false}, {"v1/devices/me/rpc/request/#", false},
		{"$SYS/#", false}, {"$SYS/broker/version", false}, {"$share/g/" + attributes, false}, {"$SHARE/g/#", false},
		{"v1/devices/dev2/attributes", false}, {telemetry, false}, {"a/#/b", false}, {"/", false},
		{attributes + "/response/x", false}, {attributes + "/response/12345678901", false},
	}
	each(t, func(t *testing.T, v byte) {
		r := newRig(t)
		c := r.join(v, "tok1", "c")
		for i, tt := range tests {
			c.send(subscribe(v, uint16(i+1), tt.filter))
			body := c.want(0x90).body
			code := body[len(body)-1]
			switch {
			case tt.ok:
				require.Equal(t, byte(0), code, tt.filter)
			case v == 5:
				require.Contains(t, []byte{0x87, 0x8F}, code, tt.filter)
			default:
				require.Equal(t, byte(0x80), code, tt.filter)
			}
		}
		c.send(subscribe(v, 99, attributes, "#", attributes+"/response/+"))
		body := c.want(0x90).body
		require.Len(t, body, map[byte]int{4: 5, 5: 6}[v])
		c.send(unsubscribe(v, 100, attributes))
		c.want(0xB0)
	})
}

func TestSubscribe_isBounded(t *testing.T) {
	r := newRig(t)
	c := r.join(4, "tok1", "c")
	for i := range 64 {
		c.send(subscribe(4, 1, attributes+"/response/"+strconv.Itoa(i)))
		require.Equal(t, byte(0), c.want(0x90).body[2])
	}
	c.send(subscribe(4, 1, attributes))
	require.Equal(t, byte(0x80), c.want(0x90).body[2])
	c.send(subscribe(4, 1, attributes+"/response/0"))
	require.Equal(t, byte(0), c.want(0x90).body[2])
}

func TestRecheck(t *testing.T) {
	tests := []struct {
		name   string
		change func(r *rig)
		code   byte
		why    string
	}{
		{"denied host", func(r *rig) { r.lists.set(hostlist.Denied) }, 0x98, "host denied"},
		{"unknown device", func(r *rig) { r.presence.add("unknown") }, 0x87, "bad credentials"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			each(t, func(t *testing.T, v byte) {
				var r *rig
				r = newRig(t, func(cfg *mqtt.Config) {
					cfg.Known = func(*devices.Device) bool { return len(r.presence.list()) < 2 }
				})
				c := r.dial(v)
				c.send(connect(v, hello{user: "tok1", id: "c", clean: true, will: telemetry}))
				require.Equal(t, byte(0), c.connack().code)
				r.srv.Recheck()
				c.ping()
				tt.change(r)
				r.srv.Recheck()
				c.wantBye(tt.code)
				eventually(t, "told", func() bool { return r.srv.Stats().Connections == 0 })
				require.Contains(t, r.presence.list(), "-dev1/c: "+tt.why)
				require.Empty(t, r.store.stored(), "no will")
			})
		})
	}
}

func TestDenied_liveSession(t *testing.T) {
	each(t, func(t *testing.T, v byte) {
		r := newRig(t)
		c := r.join(v, "tok1", "c")
		r.lists.set(hostlist.Denied)
		c.send([]byte{0xC0, 0})
		c.wantBye(0x98)
	})
}

func TestShutdown_drainsFirst(t *testing.T) {
	each(t, func(t *testing.T, v byte) {
		r := newRig(t)
		r.store.set(true, nil)
		c, idle := r.join(v, "tok1", "c"), r.join(v, "tok2", "c")
		c.send(publish(v, 1, 1, telemetry, `{}`))
		c.ping()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		down := make(chan error, 1)
		go func() { down <- r.srv.Shutdown(ctx) }()
		idle.wantBye(0x8B)
		r.store.stored()[0].done(nil)
		r.srv.Flush()
		c.wantAck(0x40, 1, 0)
		c.wantBye(0x8B)
		require.NoError(t, <-down)
		require.NoError(t, r.srv.Shutdown(ctx))
	})
}

func TestShutdown_isBounded(t *testing.T) {
	each(t, func(t *testing.T, v byte) {
		r := newRig(t)
		r.store.set(true, nil)
		c, stranger := r.join(v, "tok1", "c"), r.dial(v)
		stranger.send([]byte{0x10, 60})
		c.send(publish(v, 1, 1, telemetry, `{}`))
		c.ping()
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		require.ErrorIs(t, r.srv.Shutdown(ctx), context.DeadlineExceeded)
		c.wantBye(0x8B)
		stranger.wantEnd()
		r.store.stored()[0].done(nil) // too late, and harmless
		r.srv.Flush()
	})
}

func TestKeepAlive(t *testing.T) {
	each(t, func(t *testing.T, v byte) {
		r := newRig(t)
		c := r.dial(v)
		c.send(connect(v, hello{user: "tok1", id: "c", clean: true, keepAlive: 1}))
		require.Equal(t, byte(0), c.connack().code)
		c.wantBye(0x8D)
		eventually(t, "told", func() bool { return len(r.presence.list()) == 2 })
		require.Equal(t, "-dev1/c: keep alive timeout", r.presence.list()[1])
	})
}

func TestPacketTooLarge(t *testing.T) {
	each(t, func(t *testing.T, v byte) {
		r := newRig(t, func(cfg *mqtt.Config) { cfg.MaxPacket = 256 })
		c := r.join(v, "tok1", "c")
		before := r.quota.charged()
		c.send([]byte{0x32, 0xFF, 0xFF, 0xFF, 0x7F})
		c.wantBye(0x95)
		require.Equal(t, before+1, r.quota.charged())
	})
}

func TestLargestPacket(t *testing.T) {
	r := newRig(t)
	c := r.join(4, "tok1", "c")
	fill := 64<<10 - 4 - 2 - len(telemetry) - 2 - 2
	for i := range 3 { // the buffer grows, and shrinks between
		payload := make([]byte, fill)
		for j := range payload {
			payload[j] = ' '
		}
		c.send(publish(4, 1, uint16(i+1), telemetry, "{"+string(payload)+"}"))
		c.wantAck(0x40, uint16(i+1), 0)
		c.ping()
	}
}

func TestMalformed(t *testing.T) {
	tests := []struct {
		name string
		make func(v byte) []byte
		code byte
	}{
		{"SUBSCRIBE without options byte", func(v byte) []byte { return frame(0x82, []byte{0, 1}, props(v), text(attributes)) }, 0x81},
		{"SUBSCRIBE of QoS 3", func(v byte) []byte { return frame(0x82, []byte{0, 1}, props(v), text(attributes), []byte{3}) }, 0x81},
		{"SUBSCRIBE to nothing", func(v byte) []byte { return frame(0x82, []byte{0, 1}, props(v)) }, 0x82},
		{"SUBSCRIBE flags", func(v byte) []byte { return frame(0x80, []byte{0, 1}, props(v), text("a"), []byte{0}) }, 0x81},
		{"UNSUBSCRIBE cut", func(v byte) []byte { return frame(0xA2, []byte{0, 1}, props(v), []byte{0, 9}) }, 0x81},
		{"PUBLISH cut", func(byte) []byte { return frame(0x32, []byte{0, 9}) }, 0x81},
		{"PUBLISH QoS 3", func(byte) []byte { return frame(0x36, text("a"), []byte{0, 1}) }, 0x81},
		{"PUBLISH without identifier", func(v byte) []byte { return publish(v, 1, 0, "a", "") }, 0x82},
		{"PUBLISH to a wildcard", func(v byte) []byte { return publish(v, 1, 1, "a/#", "") }, 0x82},
		{"PINGREQ with a body", func(byte) []byte { return []byte{0xC0, 1, 0} }, 0x81},
		{"PUBREL cut", func(byte) []byte { return []byte{0x62, 1, 0} }, 0x81},
		{"second CONNECT", func(v byte) []byte { return connect(v, hello{user: "tok1", id: "c"}) }, 0x82},
		{"CONNACK", func(byte) []byte { return []byte{0x20, 2, 0, 0} }, 0x82},
		{"AUTH", func(byte) []byte { return []byte{0xF0, 0} }, 0x82},
		{"type 0", func(byte) []byte { return []byte{0, 0} }, 0x82},
		{"endless length", func(byte) []byte { return []byte{0x30, 0xFF, 0xFF, 0xFF, 0xFF} }, 0x81},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			each(t, func(t *testing.T, v byte) {
				r := newRig(t)
				bystander := r.join(v, "tok2", "b")
				c := r.join(v, "tok1", "c")
				c.send(tt.make(v))
				c.wantBye(tt.code)
				bystander.ping()
				eventually(t, "counted", func() bool { return r.srv.Stats().Malformed == 1 })
				require.Zero(t, r.srv.Stats().Panics)
				require.Empty(t, r.log.String())
			})
		})
	}
}

func TestSlowReader_isGivenUp(t *testing.T) {
	r := newRig(t, func(cfg *mqtt.Config) { cfg.Listener = tightListener{cfg.Listener} })
	c := r.join(5, "tok1", "c")
	require.NoError(t, c.Conn.(*net.TCPConn).SetReadBuffer(4<<10))
	// Each answer is longer than its question: the sockets' buffers fill, then
	// the server's own.
	bad := publish(5, 1, 1, telemetry, `x`)
	go func() {
		for {
			if _, err := c.Write(bad); err != nil {
				return
			}
		}
	}()
	eventually(t, "given up", func() bool { return r.srv.Stats().Connections == 0 })
	require.Equal(t, "-dev1/c: does not read", r.presence.list()[1])
}

// tightListener gives its sockets small buffers, so that a few answers fill them.
type tightListener struct{ net.Listener }

func (l tightListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return c, c.(*net.TCPConn).SetWriteBuffer(4 << 10)
}
