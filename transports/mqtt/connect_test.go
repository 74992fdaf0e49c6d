package mqtt_test

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/hostlist"
	"github.com/weirgate/weir/quota"
	"github.com/weirgate/weir/transports/mqtt"
)

func TestConnect_codes(t *testing.T) {
	const closed = 0xFF // without a word
	long := strings.Repeat("x", 513)
	tests := []struct {
		name   string
		h      hello
		v3, v5 byte
	}{
		{"good token", hello{user: "tok1", id: "c", clean: true}, 0, 0},
		{"empty password", hello{user: "tok1", id: "c", clean: true, pass: true}, 0, 0},
		{"client id as token", hello{id: "tok1", clean: true}, 0, 0},
		{"bad token", hello{user: "who", id: "c", clean: true}, 5, 0x86},
		{"bad client id as token", hello{id: "who", clean: true}, 5, 0x86},
		{"nothing at all", hello{clean: true}, 5, 0x86},
		{"long client id", hello{user: "tok1", id: long, clean: true}, 2, 0x85},
		{"no client id, session kept", hello{user: "tok1"}, 2, 0},
		{"empty will", hello{user: "tok1", id: "c", clean: true, will: "w"}, 0, 0},
		{"retained will", hello{user: "tok1", id: "c", clean: true, will: "w", retain: true}, 0, 0x9A},
		{"retain without will", hello{user: "tok1", id: "c", clean: true, retain: true}, closed, 0x81},
		{"user name not UTF-8", hello{user: "\xff", id: "c", clean: true}, closed, 0x81},
		{"authentication method", hello{user: "tok1", id: "c", clean: true, props: append([]byte{0x15}, text("SCRAM")...)}, 0, 0x8C},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			each(t, func(t *testing.T, v byte) {
				r := newRig(t)
				c := r.dial(v)
				c.send(connect(v, tt.h))
				want := tt.v3
				if v == 5 {
					want = tt.v5
				}
				if want != closed {
					require.Equal(t, want, c.connack().code)
				}
				if want != 0 {
					c.wantEnd()
				}
				require.Equal(t, 1, r.quota.charged())
			})
		})
	}
}

func TestConnect_otherLevels(t *testing.T) {
	tests := []struct {
		name string
		send []byte
		want string
	}{
		{"MQTT 3.1", frame(0x10, text("MQIsdp"), []byte{3, 2, 0, 60}, text("c")), "\x20\x02\x00\x01"},
		{"MQTT 6", frame(0x10, text("MQTT"), []byte{6, 2, 0, 60}, text("c")), "\x20\x03\x00\x84\x00"},
		{"not MQTT", frame(0x10, text("AMQP"), []byte{4, 2, 0, 60}, text("c")), ""},
		{"not CONNECT", publish(4, 0, 0, telemetry, "{}"), ""},
		{"HTTP", []byte("GET / HTTP/1.1\r\n\r\n"), ""},
		{"too large", []byte{0x10, 0xFF, 0xFF, 0xFF, 0x7F}, ""},
		{"endless length", []byte{0x10, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}, ""},
		{"cut short, 3.1.1", frame(0x10, text("MQTT"), []byte{4, 2}), ""},
		{"cut short, 5", frame(0x10, text("MQTT"), []byte{5, 2}), "\x20\x03\x00\x81\x00"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			c := r.dial(4)
			c.send(tt.send)
			got := make([]byte, 0, 64)
			for {
				b, err := c.r.ReadByte()
				if err != nil {
					break
				}
				got = append(got, b)
			}
			require.Equal(t, tt.want, string(got))
			require.Equal(t, 1, r.quota.charged())
			require.Equal(t, uint64(1), r.srv.Stats().Malformed)
		})
	}
}

// The properties' identifiers (MQTT 5 2.2.2.2), as the limits are told.
func TestConnect_tellsItsLimits(t *testing.T) {
	r := newRig(t)
	c := r.dial(5)
	c.send(connect(5, hello{user: "tok1", clean: true}))
	told := c.connack().props
	for _, want := range []string{
		"\x21\x04\x00",         // Receive Maximum 1024
		"\x22\x00\x10",         // Topic Alias Maximum 16
		"\x25\x00",             // Retain Available 0
		"\x27\x00\x01\x00\x00", // Maximum Packet Size 64 KiB
		"\x2A\x00",             // Shared Subscription Available 0
		"\x13\x04\xB0",         // Server Keep Alive 1200 s
		"\x12\x00\x1A",         // Assigned Client Identifier of 26 characters
	} {
		require.Contains(t, told, want)
	}
	require.NotContains(t, told, "\x24", "Maximum QoS is 2 by its absence")
	require.NotContains(t, told, "acme")
	c.ping()
	require.Contains(t, r.presence.list()[0], "+dev1/")
}

func TestConnect_sessionExpiryIsBounded(t *testing.T) {
	r := newRig(t)
	c := r.dial(5)
	c.send(connect(5, hello{user: "tok1", id: "c", props: []byte{0x11, 0xFF, 0xFF, 0xFF, 0xFF}}))
	require.Contains(t, c.connack().props, "\x11\x00\x01\x51\x80") // 86400 s
}

func TestConnect_overQuota(t *testing.T) {
	for _, p := range []quota.Profile{quota.ThingsBoard, quota.Standard, quota.Bandwidth} {
		t.Run(p.String(), func(t *testing.T) {
			each(t, func(t *testing.T, v byte) {
				r := newRig(t)
				r.quota.leave(0, p)
				c := r.dial(v)
				c.send(connect(v, hello{user: "tok1", id: "c", clean: true}))
				got := c.connack()
				if v == 5 {
					require.Equal(t, byte(0x97), got.code)
					require.Contains(t, got.props, "policy host, used 10 of 10, retry after 5 s")
					require.Contains(t, got.props, "retry-after")
				} else {
					require.Equal(t, byte(3), got.code)
				}
				c.wantEnd()
				require.Empty(t, r.presence.list())
			})
		})
	}
}

func TestConnect_explainsNoMoreThanTheClientWants(t *testing.T) {
	tests := []struct {
		name         string
		props        []byte
		reason, user bool
	}{
		{"all", nil, true, true},
		{"no problem information", []byte{0x17, 0}, false, false},
		{"small packets", []byte{0x27, 0, 0, 0, 90}, true, false},
		{"tiny packets", []byte{0x27, 0, 0, 0, 20}, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			r.quota.leave(0, quota.ThingsBoard)
			c := r.dial(5)
			c.send(connect(5, hello{user: "tok1", id: "c", clean: true, props: tt.props}))
			got := c.connack()
			require.Equal(t, byte(0x97), got.code)
			require.Equal(t, tt.reason, strings.Contains(got.props, "quota exceeded"))
			require.Equal(t, tt.user, strings.Contains(got.props, "retry-after"))
		})
	}
}

func TestConnect_denied(t *testing.T) {
	each(t, func(t *testing.T, v byte) {
		r := newRig(t)
		r.lists.set(hostlist.Denied)
		c := r.dial(v)
		c.send(connect(v, hello{user: "tok1", id: "c", clean: true}))
		want := byte(5)
		if v == 5 {
			want = 0x8A
		}
		require.Equal(t, want, c.connack().code)
		c.wantEnd()
	})
}

func TestConnect_maxClients(t *testing.T) {
	each(t, func(t *testing.T, v byte) {
		r := newRig(t, func(cfg *mqtt.Config) { cfg.MaxClients = 1 })
		c := r.join(v, "tok1", "c")
		d := r.dial(v)
		d.send(connect(v, hello{user: "tok2", id: "c", clean: true}))
		want := byte(3)
		if v == 5 {
			want = 0x88
		}
		require.Equal(t, want, d.connack().code)
		c.ping()
	})
}

func TestConnect_takeover(t *testing.T) {
	each(t, func(t *testing.T, v byte) {
		r := newRig(t)
		r.store.set(true, nil)
		first := r.join(v, "tok1", "same")
		first.ping()                       // its presence, which CONNACK precedes, is told
		other := r.join(v, "tok2", "same") // another device's
		first.send(publish(v, 1, 1, telemetry, `{}`))
		first.ping()
		other.ping()
		second := r.join(v, "tok1", "same")
		first.wantBye(0x8E)
		r.store.stored()[0].done(nil)
		r.srv.Flush()
		second.ping() // and no acknowledgement of the first one's
		other.ping()
		require.Equal(t, []string{"+dev1/same", "+dev2/same", "-dev1/same: taken over", "+dev1/same"}, r.presence.list())
	})
}

func TestSession_isKeptForAWhile(t *testing.T) {
	each(t, func(t *testing.T, v byte) {
		r := newRig(t, func(cfg *mqtt.Config) { cfg.MaxSessions = 1 })
		stay := func(id string) connack {
			c := r.dial(v)
			c.send(connect(v, hello{user: "tok1", id: id, props: []byte{0x11, 0, 0, 1, 0}}))
			got := c.connack()
			c.send([]byte{0xE0, 0})
			c.wantEnd()
			eventually(t, "gone", func() bool { return r.srv.Stats().Connections == 0 })
			return got
		}
		require.Equal(t, byte(0), stay("c").present)
		require.Equal(t, byte(1), stay("c").present)
		require.Equal(t, byte(0), stay("d").present)
		require.Equal(t, byte(0), stay("d").present, "there is room for one")
		require.Equal(t, 1, r.srv.Stats().Sessions)
		r.clock.pass(25 * time.Hour)
		require.Equal(t, byte(0), stay("c").present)
	})
}

func TestConnect_host(t *testing.T) {
	t.Run("is what RemoteAddr says", func(t *testing.T) {
		r := newRig(t, func(cfg *mqtt.Config) {
			cfg.RemoteAddr = func(net.Conn) (netip.Addr, bool) { return netip.MustParseAddr("2001:db8::7"), true }
			cfg.Presence = hostPresence{t}
		})
		r.join(4, "tok1", "c").ping()
	})
	t.Run("is nobody for a trusted proxy", func(t *testing.T) {
		r := newRig(t, func(cfg *mqtt.Config) {
			cfg.RemoteAddr = func(net.Conn) (netip.Addr, bool) { return netip.Addr{}, false }
		})
		r.join(4, "tok1", "c").ping()
		require.Zero(t, r.quota.charged())
	})
}

type hostPresence struct{ t *testing.T }

func (p hostPresence) Connected(s mqtt.Session)          { require.Equal(p.t, "2001:db8::7", s.Host.String()) }
func (p hostPresence) Disconnected(mqtt.Session, string) {}

func TestNew_faults(t *testing.T) {
	_, err := mqtt.New(&mqtt.Config{})
	require.ErrorContains(t, err, "Listener")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = ln.Close() }()
	_, err = mqtt.New(&mqtt.Config{Listener: ln})
	require.ErrorContains(t, err, "Gate")
}
