package coap_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/transports/coap"
)

func TestOverQuota(t *testing.T) {
	w := newWorld(t, func(w *world, _ *coap.Config) { w.hosts.limit = 2 }).serve()
	p := w.peer()
	for mid := range int32(2) {
		p.send(post(t, con, mid, "ab", `{}`))
		require.Equal(t, codes.Created, p.answer().Code)
	}
	for mid := int32(2); mid < 12; mid++ {
		kind := []message.Type{con, non}[mid%2]
		request := post(t, kind, mid, "ab", `{}`)
		p.send(request)
		m := p.answer()
		require.Equal(t, codes.BadRequest, m.Code, "the thingsboard profile")
		require.Equal(t, map[message.Type]message.Type{con: ack, non: non}[kind], m.Type)
		require.Equal(t, "ab", string(m.Token))
		age, err := m.Options.GetUint32(message.MaxAge)
		require.NoError(t, err)
		require.EqualValues(t, 7, age)
		require.Equal(t, "quota exceeded: policy host, used 2 of 2, retry after 7 s", string(m.Payload))
	}
	p.send([]byte{0x40, 0, 0, 1})
	p.send([]byte{0x49, 2, 0, 1})
	w.eventually(func(s coap.Stats) bool { return s.Refused == 12 })
	s := w.srv.Stats()
	require.Zero(t, s.Pending)
	require.Zero(t, s.Resets, "a ping over quota gets silence")
	require.Len(t, w.store.stored(), 2)

	again := post(t, con, 11, "ab", `{"late":1}`)
	p.send(again)
	require.Equal(t, codes.BadRequest, p.answer().Code)
	w.hosts.mu.Lock()
	clear(w.hosts.used)
	w.hosts.mu.Unlock()
	p.send(again)
	require.Equal(t, codes.Created, p.answer().Code, "nothing was remembered of the refusal")
}

func TestALongWaitIsToldWhole(t *testing.T) {
	w := newWorld(t, func(w *world, _ *coap.Config) { w.hosts.limit, w.hosts.wait = 1, 48*time.Hour }).serve()
	p := w.peer()
	p.send(post(t, con, 1, "", `{}`))
	require.Equal(t, codes.Created, p.answer().Code)
	p.send(post(t, con, 2, "", `{}`))
	age, err := p.answer().Options.GetUint32(message.MaxAge)
	require.NoError(t, err)
	require.GreaterOrEqual(t, age, uint32(48*3600))
}

func TestWhoPays(t *testing.T) {
	w := newWorld(t, func(w *world, _ *coap.Config) { w.hosts.limit = 100 }).serve()
	p := w.peer()
	send := func(o message.Options) {
		p.send(encode(t, message.Message{Type: con, Code: codes.POST, MessageID: 1, Options: o, Payload: []byte(`{`)}))
		p.receive()
	}
	paid := func(verified, unverified uint32) {
		t.Helper()
		v, u := w.hosts.spent()
		require.Equal(t, [2]uint32{verified, unverified}, [2]uint32{v, u})
	}
	send(path(telemetryPath))
	paid(1, 0)
	send(path([]string{"api", "v1", "forged", "telemetry"}))
	paid(1, 1)
	send(path([]string{"elsewhere"}))
	paid(1, 2)
	send(path([]string{"api", "v1", "tok", "elsewhere"}))
	paid(2, 2)
	p.silent() // a ping
	paid(2, 3)
	p.send([]byte{0x60, 0, 0, 1})
	p.send([]byte{1, 2, 3})
	p.silent()
	paid(2, 4)
}

func TestADeniedHost(t *testing.T) {
	w := newWorld(t, func(w *world, _ *coap.Config) {
		w.hosts.denied[netip.MustParseAddr("127.0.0.9")] = true
	}).serve()
	p := w.peerFrom("127.0.0.9")
	p.send(post(t, con, 1, "ab", `{}`))
	require.Equal(t, codes.BadRequest, p.answer().Code)
	p.send([]byte{0x40, 0, 0, 1})
	w.eventually(func(s coap.Stats) bool { return s.Refused == 2 })
	other := w.peer()
	other.silent()
	require.Equal(t, 2, w.hosts.discarded)
	require.Empty(t, w.store.stored())
}

func TestThePoolIsFull(t *testing.T) {
	w := newWorld(t, func(w *world, c *coap.Config) { manual(w, c); c.MaxPending = 2 }).serve()
	p := w.peer()
	p.send(post(t, con, 1, "", `{}`))
	p.send(post(t, con, 2, "", `{}`))
	p.send(post(t, con, 3, "", `{}`))
	m := p.answer()
	require.Equal(t, []any{codes.ServiceUnavailable, int32(3)}, []any{m.Code, m.MessageID})
	age, err := m.Options.GetUint32(message.MaxAge)
	require.NoError(t, err)
	require.EqualValues(t, 10, age)
	w.confirm(2, nil)
	require.Equal(t, codes.Created, p.answer().Code)
	require.Equal(t, codes.Created, p.answer().Code)
	p.send(post(t, con, 4, "", `{}`))
	w.confirm(1, nil)
	require.Equal(t, codes.Created, p.answer().Code)
	require.EqualValues(t, 1, w.srv.Stats().Busy)
}

func TestACompletionThatComesTwice(t *testing.T) {
	w := newWorld(t, manual).serve()
	p := w.peer()
	p.send(post(t, con, 1, "", `{"n":1}`))
	var complete func(error)
	require.Eventually(t, func() bool {
		w.store.mu.Lock()
		defer w.store.mu.Unlock()
		if len(w.store.open) == 1 {
			complete = w.store.open[0]
		}
		return complete != nil
	}, 5*time.Second, time.Millisecond)
	w.confirm(1, nil)
	require.Equal(t, codes.Created, p.answer().Code)
	p.send(post(t, con, 2, "", `{"n":2}`)) // takes the same place in the pool
	w.eventually(func(s coap.Stats) bool { return s.Pending == 1 })
	complete(nil)
	w.srv.Complete(1<<63, nil)
	w.srv.Flush()
	p.silent()
	require.Equal(t, 1, w.srv.Stats().Pending)
}

func TestGarbage(t *testing.T) {
	w := newWorld(t, func(w *world, _ *coap.Config) { w.hosts.limit = 3 }).serve()
	p := w.peer()
	junk := []byte{0x40}
	for i := range 5000 {
		junk[0] = byte(i)
		p.send(append(junk, fmt.Sprint(i)...)[:1+i%4])
		if i%100 == 99 { // so that the socket's buffer holds them
			w.eventually(func(s coap.Stats) bool { return s.Datagrams >= uint64(i+1) })
		}
	}
	s := w.srv.Stats()
	require.Zero(t, s.Pending)
	require.EqualValues(t, 5000, s.Ignored+s.Resets+s.Refused)
	require.LessOrEqual(t, s.Resets, uint64(3), "a stranger's junk has a quota")
	other := w.peerFrom("127.0.0.2")
	other.send(post(t, con, 1, "", `{}`))
	require.Equal(t, codes.Created, other.answer().Code)
}

func TestManyPeers(t *testing.T) {
	const peers = 2000
	w := newWorld(t, nil).serve()
	to := w.srv.Addr().(*net.UDPAddr)
	for i := range peers {
		from := net.IPv4(127, 1, byte(i>>8), byte(i))
		conn, err := net.DialUDP("udp", &net.UDPAddr{IP: from}, to)
		require.NoError(t, err)
		p := &peer{t, conn}
		p.send(post(t, con, 1, "abcdefgh", `{"t":1}`))
		require.Equal(t, codes.Created, p.answer().Code)
		require.NoError(t, conn.Close())
	}
	s := w.srv.Stats()
	require.Zero(t, s.Pending)
	require.EqualValues(t, peers, s.Requests)
	require.Len(t, w.store.stored(), peers)
}

func TestOneSlowPeerStallsNobody(t *testing.T) {
	hold := make(chan struct{})
	w := newWorld(t, func(w *world, _ *coap.Config) {
		w.ask = func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
			select {
			case <-hold:
			case <-ctx.Done():
			}
			return []byte(`{"late":true}`), nil
		}
	}).serve()
	slow, fast := w.peer(), w.peerFrom("127.0.0.2")
	for mid := range int32(100) {
		slow.send(encode(t, message.Message{Type: con, Code: codes.GET, MessageID: mid, Options: path([]string{"api", "v1", strconv.Itoa(int(mid)), "attributes"})}))
	}
	w.eventually(func(s coap.Stats) bool { return s.Pending == 100 })
	for mid := range int32(100) {
		fast.send(post(t, con, mid, "", `{}`))
		require.Equal(t, codes.Created, fast.answer().Code)
	}
	w.clock.advance(1100 * time.Millisecond)
	for range 100 {
		require.Equal(t, codes.Empty, slow.answer().Code)
	}
	close(hold)
	m := slow.answer()
	require.Equal(t, []any{con, codes.Content, `{"late":true}`}, []any{m.Type, m.Code, string(m.Payload)})
}
