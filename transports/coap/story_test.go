package coap_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/transports"
	"github.com/weirgate/weir/transports/coap"
)

// manual has the store wait for the test's confirmation.
func manual(w *world, _ *coap.Config) { w.store.manual = true }

func (w *world) eventually(f func(coap.Stats) bool) {
	w.t.Helper()
	require.Eventually(w.t, func() bool { return f(w.srv.Stats()) }, 5*time.Second, time.Millisecond)
}

func TestAnAnswerMeansStored(t *testing.T) {
	w := newWorld(t, manual).serve()
	p := w.peer()
	p.send(post(t, con, 1, "ab", `{"t":1}`))
	p.send(encode(t, message.Message{
		Type: non, Code: codes.POST, MessageID: 2, Token: []byte("cd"),
		Options: path([]string{"api", "v1", "tok", "attributes"}), Payload: []byte(`{"a":2}`),
	}))
	w.eventually(func(s coap.Stats) bool { return s.Pending == 2 })
	p.silent()
	w.confirm(2, nil)
	first, second := p.answer(), p.answer()
	require.Equal(t, []any{ack, codes.Created, int32(1), "ab"}, []any{first.Type, first.Code, first.MessageID, string(first.Token)})
	require.Empty(t, first.Options)
	require.Equal(t, []any{non, codes.Created, "cd"}, []any{second.Type, second.Code, string(second.Token)})
	require.Equal(t, []string{`{"t":1}`, `{"a":2}`}, w.store.stored())
	require.Equal(t, []transports.Kind{transports.Telemetry, transports.Attributes}, w.store.kinds)
	require.Zero(t, w.srv.Stats().Pending)
}

func TestAStoreThatFails(t *testing.T) {
	w := newWorld(t, manual).serve()
	p := w.peer()
	p.send(post(t, con, 1, "ab", `{"t":1}`))
	w.confirm(1, errAway)
	for range 2 { // the second time the request is a repeat
		m := p.answer()
		require.Equal(t, codes.ServiceUnavailable, m.Code)
		age, err := m.Options.GetUint32(message.MaxAge)
		require.NoError(t, err)
		require.InDelta(t, 10, age, 1)
		p.send(post(t, con, 1, "ab", `{"t":1}`))
	}
	require.Equal(t, codes.ServiceUnavailable, p.answer().Code)
	w.store.mu.Lock()
	w.store.refuse = errAway
	w.store.mu.Unlock()
	p.send(post(t, con, 2, "ab", `{"t":1}`))
	require.Equal(t, codes.ServiceUnavailable, p.answer().Code)
	require.Zero(t, w.srv.Stats().Pending)
	require.Len(t, w.store.stored(), 1)
}

func TestASlowStore(t *testing.T) {
	w := newWorld(t, manual).serve()
	p := w.peer()
	request := post(t, con, 1, "ab", `{"t":1}`)
	p.send(request)
	w.eventually(func(s coap.Stats) bool { return s.Pending == 1 })

	p.send(request) // before a second is over a repeat is silent
	w.eventually(func(s coap.Stats) bool { return s.Repeats == 1 })
	p.silent()

	w.clock.advance(900 * time.Millisecond)
	w.srv.Tick()
	p.silent()
	w.clock.advance(200 * time.Millisecond)
	require.Equal(t, []byte{0x60, 0, 0, 1}, p.receive(), "the empty ACK")
	p.send(request)
	require.Equal(t, []byte{0x60, 0, 0, 1}, p.receive(), "the empty ACK again")

	w.confirm(1, nil)
	separate := p.receive()
	m := decode(t, separate)
	require.Equal(t, []any{con, codes.Created, "ab"}, []any{m.Type, m.Code, string(m.Token)})
	p.send([]byte{0x60, 0, byte(m.MessageID>>8) ^ 1, byte(m.MessageID)}) // another message's ACK
	p.silent()
	w.clock.advance(3 * time.Second)
	require.Equal(t, separate, p.receive(), "sent again")
	p.send(request)
	require.Equal(t, []byte{0x60, 0, 0, 1}, p.receive(), "still the empty ACK")

	p.send([]byte{0x60, 0, byte(m.MessageID >> 8), byte(m.MessageID)})
	p.silent()
	require.Zero(t, w.srv.Stats().Pending)
	w.clock.advance(100 * time.Second)
	w.srv.Tick()
	p.silent()
	p.send(request)
	m = p.answer()
	require.Equal(t, []any{ack, codes.Created, int32(1)}, []any{m.Type, m.Code, m.MessageID}, "the repeat is answered")
	require.Len(t, w.store.stored(), 1, "and not executed")
}

func TestASeparateResponseEnds(t *testing.T) {
	tests := []struct {
		name string
		end  func(w *world, p *peer, mid int32)
		want coap.Stats
	}{
		{
			name: "by a reset",
			end: func(_ *world, p *peer, mid int32) {
				p.send([]byte{0x70, 0, byte(mid >> 8), byte(mid)})
				p.silent()
			},
		},
		{
			name: "after four retransmissions",
			end: func(w *world, p *peer, mid int32) {
				for _, wait := range []time.Duration{3, 6, 12, 24} {
					early := wait*time.Second*2/3 - 200*time.Millisecond // 2 s, doubled each time, is the least
					w.clock.advance(early)
					w.srv.Tick()
					p.silent()
					w.clock.advance(wait*time.Second - early)
					require.Equal(p.t, mid, p.answer().MessageID)
				}
				w.clock.advance(48 * time.Second)
				w.srv.Tick()
				p.silent()
			},
			want: coap.Stats{Retransmitted: 4, Abandoned: 1},
		},
		{
			name: "not by another peer's ACK",
			end: func(w *world, p *peer, mid int32) {
				other := w.peer()
				other.send([]byte{0x60, 0, byte(mid >> 8), byte(mid)})
				other.silent()
				require.Equal(p.t, 1, w.srv.Stats().Pending)
				p.send([]byte{0x60, 0, byte(mid >> 8), byte(mid)})
				p.silent()
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, manual).serve()
			p := w.peer()
			p.send(post(t, con, 1, "ab", `{"t":1}`))
			w.eventually(func(s coap.Stats) bool { return s.Pending == 1 })
			w.clock.advance(1100 * time.Millisecond)
			require.Equal(t, []byte{0x60, 0, 0, 1}, p.receive())
			w.confirm(1, errAway)
			m := p.answer()
			require.Equal(t, []any{con, codes.ServiceUnavailable}, []any{m.Type, m.Code})
			tt.end(w, p, m.MessageID)
			s := w.srv.Stats()
			require.Zero(t, s.Pending)
			require.EqualValues(t, 1, s.Separate)
			require.Equal(t, tt.want.Retransmitted, s.Retransmitted)
			require.Equal(t, tt.want.Abandoned, s.Abandoned)
			p.send(post(t, con, 1, "ab", `{"t":1}`))
			m = p.answer()
			require.Equal(t, []any{ack, codes.ServiceUnavailable}, []any{m.Type, m.Code})
		})
	}
}

func TestANonHasNoEmptyAck(t *testing.T) {
	w := newWorld(t, manual).serve()
	p := w.peer()
	p.send(post(t, non, 1, "ab", `{"t":1}`))
	w.eventually(func(s coap.Stats) bool { return s.Pending == 1 })
	w.clock.advance(5 * time.Second)
	w.srv.Tick()
	p.silent()
	w.confirm(1, nil)
	require.Equal(t, non, p.answer().Type)
	require.Zero(t, w.srv.Stats().Pending)
}

func TestRetransmissions(t *testing.T) {
	w := newWorld(t, func(w *world, _ *coap.Config) { w.hosts.limit = 100 }).serve()
	p := w.peer()
	first := post(t, con, 1, "ab", `{"n":1}`)
	p.send(first)
	answer := p.receive()
	for range 3 {
		p.send(first)
		require.Equal(t, answer, p.receive(), "the same code, token and message id")
	}
	spent, _ := w.hosts.spent()
	require.EqualValues(t, 1, spent, "repeats are charged to nobody")
	require.EqualValues(t, 3, w.srv.Stats().Repeats)

	p.send(post(t, con, 1, "ab", `{"n":2}`))
	require.Equal(t, codes.Created, p.answer().Code, "a rebooted modem starts at message id 1 again")
	w.peer().send(first)
	w.eventually(func(s coap.Stats) bool { return s.Requests == 3 })
	require.Equal(t, []string{`{"n":1}`, `{"n":2}`, `{"n":1}`}, w.store.stored(), "another port is another peer")

	bad := post(t, con, 9, "ab", `{`)
	p.send(bad)
	require.Equal(t, codes.BadRequest, p.answer().Code)
	p.send(bad)
	m := p.answer()
	require.Equal(t, codes.BadRequest, m.Code)
	require.Empty(t, m.Payload, "a repeated error has no diagnostic")
	age, err := m.Options.GetUint32(message.MaxAge)
	require.NoError(t, err)
	require.Zero(t, age)

	once := post(t, non, 20, "ab", `{"n":3}`)
	p.send(once)
	require.Equal(t, codes.Created, p.answer().Code)
	p.send(once)
	p.silent()

	w.clock.advance(144 * time.Second)
	p.send(once)
	p.silent()
	w.clock.advance(2 * time.Second)
	p.send(once)
	require.Equal(t, codes.Created, p.answer().Code, "NON_LIFETIME is over")
	w.clock.advance(100 * time.Second)
	p.send(first)
	require.Equal(t, codes.Created, p.answer().Code)
	require.Len(t, w.store.stored(), 5)
	w.clock.advance(2 * time.Second)
	p.send(first)
	require.Equal(t, codes.Created, p.answer().Code)
	require.Len(t, w.store.stored(), 6, "EXCHANGE_LIFETIME is over")
}

func TestShutdownAnswersWhatIsInHand(t *testing.T) {
	w := newWorld(t, manual)
	served := make(chan error, 1)
	go func() { served <- w.srv.Serve() }()
	p := w.peer()
	p.send(post(t, con, 1, "", `{}`))
	w.eventually(func(s coap.Stats) bool { return s.Pending == 1 })
	down := make(chan error, 1)
	go func() { down <- w.srv.Shutdown(t.Context()) }()
	require.NoError(t, <-served)
	p.send(post(t, con, 2, "", `{}`)) // nobody reads it any more
	w.confirm(1, nil)
	require.Equal(t, codes.Created, p.answer().Code)
	require.NoError(t, <-down)
	require.NoError(t, w.srv.Shutdown(t.Context()))
	require.Len(t, w.store.stored(), 1)
	require.NoError(t, w.srv.Serve(), "a Serve that comes late has nothing to do")
}

func TestShutdownEndsWithItsContext(t *testing.T) {
	w := newWorld(t, manual)
	served := make(chan error, 1)
	go func() { served <- w.srv.Serve() }()
	p := w.peer()
	p.send(post(t, con, 1, "", `{}`))
	w.eventually(func(s coap.Stats) bool { return s.Pending == 1 })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, w.srv.Shutdown(ctx), context.Canceled)
	require.NoError(t, <-served)
	w.confirm(1, nil) // too late, and harmless
}

func TestBeforeListen(t *testing.T) {
	s := coap.New(&coap.Config{Address: "127.0.0.1:0"})
	require.Nil(t, s.Addr())
	s.Flush()
	require.ErrorIs(t, s.Serve(), coap.ErrNotListening)
	require.NoError(t, s.Shutdown(t.Context()))
}

func TestAPortThatIsTaken(t *testing.T) {
	w := newWorld(t, nil)
	addr := w.srv.Addr().String()
	err := coap.New(&coap.Config{Address: addr}).Listen(t.Context())
	require.ErrorContains(t, err, addr)
	require.ErrorContains(t, err, "free the port")
	require.NoError(t, w.srv.Shutdown(t.Context()))
}

// TestLocalAddresses holds that an answer leaves from the address that was asked.
func TestLocalAddresses(t *testing.T) {
	tests := []struct {
		name, listen string
		ask          []string
	}{
		{"every IPv4 address", "0.0.0.0:0", []string{"127.0.0.1", "127.0.0.77"}},
		{"every address", ":0", []string{"127.0.0.1", "127.0.0.77", "::1"}},
		{"one address", "127.0.0.77:0", []string{"127.0.0.77"}},
		{"one IPv6 address", "[::1]:0", []string{"::1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if strings.Contains(strings.Join(tt.ask, " "), "::1") && !hasIPv6() {
				t.Skip("this machine has no IPv6 loopback")
			}
			w := newWorld(t, func(_ *world, c *coap.Config) { c.Address = tt.listen }).serve()
			port := w.srv.Addr().(*net.UDPAddr).Port
			for _, ip := range tt.ask {
				// A connected socket takes datagrams from that very address alone.
				conn, err := net.DialUDP("udp", nil, &net.UDPAddr{IP: net.ParseIP(ip), Port: port})
				require.NoError(t, err)
				p := &peer{t, conn}
				p.send(post(t, con, 1, "ab", `{}`))
				require.Equal(t, codes.Created, p.answer().Code)
				p.silent()
				require.NoError(t, conn.Close())
			}
		})
	}
}

func hasIPv6() bool {
	conn, err := net.ListenPacket("udp6", "[::1]:0")
	if err != nil {
		return false
	}
	return conn.Close() == nil
}
