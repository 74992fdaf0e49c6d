package coap_test

import (
	"context"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/transports/coap"
)

// deny puts a host on the black list, or takes it off.
func (w *world) deny(ip string, denied bool) {
	w.hosts.mu.Lock()
	defer w.hosts.mu.Unlock()
	w.hosts.denied[netip.MustParseAddr(ip)] = denied
}

func (w *world) discarded() int {
	w.hosts.mu.Lock()
	defer w.hosts.mu.Unlock()
	return w.hosts.discarded
}

// limited has a quota that a test does not reach.
func limited(w *world, _ *coap.Config) { w.hosts.limit = 100 }

func TestARepeatOfAHostDeniedSince(t *testing.T) {
	tests := []struct {
		name    string
		request func(*testing.T) []byte
		first   codes.Code
	}{
		{"a POST", func(t *testing.T) []byte { return post(t, con, 1, "ab", `{}`) }, codes.Created},
		{"a POST by NON", func(t *testing.T) []byte { return post(t, non, 1, "ab", `{}`) }, codes.Created},
		{"a POST in error", func(t *testing.T) []byte { return post(t, con, 1, "ab", `{`) }, codes.BadRequest},
		{"a GET", func(t *testing.T) []byte { return get(t, 1) }, codes.Content},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, limited).serve()
			p := w.peer()
			request := tt.request(t)
			p.send(request)
			require.Equal(t, tt.first, p.answer().Code)
			w.deny("127.0.0.1", true)
			for range 3 {
				p.send(request)
				m := p.answer()
				require.Equal(t, codes.BadRequest, m.Code, "the thingsboard profile")
				require.Contains(t, string(m.Payload), "denied")
			}
			require.Equal(t, 3, w.discarded())
			require.EqualValues(t, 3, w.srv.Stats().Refused)
			require.Zero(t, w.srv.Stats().Repeats)
			verified, unverified := w.hosts.spent()
			require.Equal(t, [2]uint32{1, 0}, [2]uint32{verified, unverified}, "the first alone is charged")
		})
	}
}

func TestARepeatOfAHostDeniedAndForgiven(t *testing.T) {
	w := newWorld(t, nil).serve()
	p := w.peer()
	request := post(t, con, 1, "ab", `{}`)
	p.send(request)
	answer := p.receive()
	w.deny("127.0.0.1", true)
	p.send(request)
	require.Equal(t, codes.BadRequest, p.answer().Code)
	w.deny("127.0.0.1", false)
	p.send(request)
	require.Equal(t, answer, p.receive())
	require.Len(t, w.store.stored(), 1)
}

func TestRepeatsAreBounded(t *testing.T) {
	w := newWorld(t, func(w *world, _ *coap.Config) { w.hosts.limit = 20 }).serve()
	p := w.peer()
	request := post(t, con, 1, "ab", `{"n":1}`)
	p.send(request)
	answer := p.receive()
	for range coap.MaxRepeats {
		p.send(request)
		require.Equal(t, answer, p.receive())
	}
	paid := func(verified, unverified uint32) {
		t.Helper()
		v, u := w.hosts.spent()
		require.Equal(t, [2]uint32{verified, unverified}, [2]uint32{v, u})
	}
	paid(1, 0)
	for range 10 {
		p.send(request)
	}
	p.silent()
	paid(1, 11) // the ping's as well: whoever forges them cannot spend the host's budget
	require.EqualValues(t, 10, w.srv.Stats().Ignored)
	require.EqualValues(t, coap.MaxRepeats, w.srv.Stats().Repeats)
	for range 20 {
		p.send(request)
	}
	w.eventually(func(s coap.Stats) bool { return s.Datagrams == 40 })
	paid(1, 20)
	require.EqualValues(t, 11, w.srv.Stats().Refused, "over the window of datagrams without a token")
	p.send(post(t, con, 2, "ab", `{"n":2}`))
	require.EqualValues(t, 2, p.answer().MessageID, "no refusal was answered, and the host's budget is whole")
	require.Equal(t, []string{`{"n":1}`, `{"n":2}`}, w.store.stored())

	w.clock.advance(247 * time.Second)
	p.send(request)
	require.Equal(t, answer, p.receive(), "a new request")
	require.Len(t, w.store.stored(), 3)
}

// TestSilentRepeatsAreBounded holds that repeats which get no answer are not
// free of charge without end either.
func TestSilentRepeatsAreBounded(t *testing.T) {
	for _, kind := range []message.Type{con, non} {
		t.Run(kind.String(), func(t *testing.T) {
			w := newWorld(t, func(w *world, c *coap.Config) { manual(w, c); limited(w, c) }).serve()
			p := w.peer()
			for range 1 + coap.MaxRepeats + 5 {
				p.send(post(t, kind, 1, "ab", `{}`))
			}
			p.silent()
			verified, unverified := w.hosts.spent()
			require.Equal(t, [2]uint32{1, 5 + 1}, [2]uint32{verified, unverified})
			w.confirm(1, nil)
			require.Equal(t, codes.Created, p.answer().Code)
		})
	}
}

func TestARepeatedQuestion(t *testing.T) {
	tests := []struct {
		name string
		err  error
		code codes.Code
		asks int32 // for the request and three repeats
	}{
		{"answered by an error", errAway, codes.ServiceUnavailable, 1},
		{"answered by content", nil, codes.Content, 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var asks atomic.Int32
			w := newWorld(t, func(w *world, _ *coap.Config) {
				w.hosts.limit = 100
				w.ask = func(context.Context, string, []byte) ([]byte, error) {
					asks.Add(1)
					return []byte(`{"a":1}`), tt.err
				}
			}).serve()
			p := w.peer()
			p.send(get(t, 1))
			first := p.answer()
			require.Equal(t, tt.code, first.Code)
			for range 3 {
				p.send(get(t, 1))
				m := p.answer()
				require.Equal(t, []any{ack, tt.code, int32(1), "q"}, []any{m.Type, m.Code, m.MessageID, string(m.Token)})
				require.Equal(t, first.Options, m.Options)
				if tt.err == nil {
					require.Equal(t, `{"a":1}`, string(m.Payload))
				}
			}
			require.Equal(t, tt.asks, asks.Load())
			verified, unverified := w.hosts.spent()
			require.Equal(t, [2]uint32{1, 0}, [2]uint32{verified, unverified}, "retransmissions are not charged")
			require.EqualValues(t, 3, w.srv.Stats().Repeats)

			for range coap.MaxRepeats - 3 {
				p.send(get(t, 1))
				require.Equal(t, tt.code, p.answer().Code)
			}
			asked := asks.Load()
			p.send(get(t, 1))
			p.silent()
			require.Equal(t, asked, asks.Load())

			w.clock.advance(247 * time.Second)
			p.send(get(t, 1))
			require.Equal(t, tt.code, p.answer().Code)
			require.Equal(t, asked+1, asks.Load(), "a new request")
		})
	}
}

func TestARepeatedQuestionOfASlowService(t *testing.T) {
	hold := make(chan error)
	w := newWorld(t, func(w *world, _ *coap.Config) {
		w.ask = func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
			select {
			case err := <-hold:
				return nil, err
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	}).serve()
	p := w.peer()
	p.send(get(t, 1))
	w.eventually(func(s coap.Stats) bool { return s.Pending == 1 })
	p.send(get(t, 1))
	p.silent() // it is being asked
	w.clock.advance(1100 * time.Millisecond)
	require.Equal(t, []byte{0x60, 0, 0, 1}, p.receive())
	hold <- errAway
	m := p.answer()
	require.Equal(t, []any{con, codes.ServiceUnavailable}, []any{m.Type, m.Code})
	p.send([]byte{0x60, 0, byte(m.MessageID >> 8), byte(m.MessageID)})
	p.send(get(t, 1))
	m = p.answer()
	require.Equal(t, []any{ack, codes.ServiceUnavailable, int32(1)}, []any{m.Type, m.Code, m.MessageID})
}

func TestARepeatedQuestionByNon(t *testing.T) {
	w := newWorld(t, nil).serve()
	p := w.peer()
	request := get(t, 1)
	request[0] |= byte(non) << 4
	p.send(request)
	require.Equal(t, codes.Content, p.answer().Code)
	p.send(request)
	p.silent()
}
