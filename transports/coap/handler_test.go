package coap_test

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/devices"
	"github.com/weirgate/weir/quota"
	"github.com/weirgate/weir/transports"
	"github.com/weirgate/weir/transports/coap"
)

// nullStore confirms within Submit.
type nullStore struct{}

func (nullStore) Submit(_ *transports.Message, c transports.Completer, tag uint64) error {
	c.Complete(tag, nil)
	return nil
}

func (nullStore) Bury(*transports.Message, string, transports.Completer, uint64) error { return nil }

// bare is a Server between fakes that do nothing, and a socket to be answered at.
func bare(t testing.TB) (handle func(context.Context, netip.AddrPort, ...[]byte), at *net.UDPConn, srv *coap.Server) {
	free := &hosts{}
	now := time.Now()
	srv = coap.New(&coap.Config{
		Address: "127.0.0.1:0",
		Gate: transports.NewGate(&transports.GateConfig{
			Lists: free, Quota: free, Store: nullStore{}, Now: func() time.Time { return now },
			Directory:     &directory{device: devices.Device{Account: "a", Name: "d"}},
			Caller:        caller(func(context.Context, string, []byte) ([]byte, error) { return []byte(`{}`), nil }),
			DeniedProfile: func() quota.Profile { return quota.Standard },
			Classify:      func(error) transports.RefusalKind { return transports.StoreAway },
		}),
		Now: func() time.Time { return now }, MaxPending: 64,
	})
	require.NoError(t, srv.Listen(t.Context()))
	at, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, srv.Shutdown(context.Background()))
		require.NoError(t, at.Close())
	})
	return srv.Handler(), at, srv
}

func TestAPlainPostAllocatesNothing(t *testing.T) {
	handle, at, srv := bare(t)
	from := at.LocalAddr().(*net.UDPAddr).AddrPort()
	tests := []struct {
		name  string
		kind  message.Type
		times int // that each datagram comes
	}{{"CON", con, 1}, {"NON", non, 1}, {"repeats", con, 1 + coap.MaxRepeats}, {"more repeats than are answered", con, 1000}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := post(t, tt.kind, 1, "abcdefgh", `{"t":21.53,"h":48.2,"b":3.71,"r":-67}`)
			n, one := 0, [][]byte{p}
			allocs := testing.AllocsPerRun(500, func() {
				if n++; n%tt.times == 0 {
					p[3]++
				}
				handle(context.Background(), from, one...)
			})
			require.Zero(t, allocs)
		})
	}
	require.Zero(t, srv.Stats().Failed)
	require.NotZero(t, srv.Stats().Repeats)
	require.NotZero(t, srv.Stats().Ignored)
}

func TestAPeerThatCannotBeAnsweredIsIgnored(t *testing.T) {
	handle, _, srv := bare(t)
	handle(t.Context(), netip.MustParseAddrPort("127.0.0.1:0"), post(t, con, 1, "", `{}`))
	require.Equal(t, coap.Stats{Datagrams: 1, Ignored: 1}, srv.Stats())
}

// FuzzFront feeds any datagram to the front over a socket that is answered: it
// never panics and answers at most once, to a message id that was asked or to a
// NON, with no error longer than three times the request.
func FuzzFront(f *testing.F) {
	for _, seed := range [][]byte{
		{}, {0x40}, {0x40, 0, 0, 1}, {0x60, 0, 0, 1}, {0x70, 0, 0, 1}, {0x49, 2, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9},
		{0x40, 2, 0, 1, 0xff}, {0x40, 2, 0, 1, 0xbf}, {0x40, 1, 0, 1, 0xe0, 0xff, 0xff}, {0x51, 0x45, 0, 1, 7},
		post(f, con, 1, "token", `{"a":1}`), post(f, non, 2, "", `[]`), post(f, con, 3, "t", `{`),
		encode(f, message.Message{Type: con, Code: codes.GET, MessageID: 4, Options: path(
			[]string{"api", "v1", "tok", "attributes"}, opt(15, "clientKeys=a,b"), opt(17, "\x32"), opt(23, "\x06"))}),
		encode(f, message.Message{Type: con, Code: codes.POST, MessageID: 5, Options: path(telemetryPath, opt(27, "\x08"), opt(35, "x"), opt(9999, ""))}),
	} {
		f.Add(seed)
	}
	handle, at, srv := bare(f)
	from := at.LocalAddr().(*net.UDPAddr).AddrPort()
	buf := make([]byte, 4096)
	f.Fuzz(func(t *testing.T, packet []byte) {
		handle(t.Context(), from, packet)
		require.Zero(t, srv.Stats().Pending)
		// The answer to a ping with another message id comes after any other.
		ping := []byte{0x40, 0, 0xff, 0xff}
		if len(packet) >= 4 {
			ping[2] = ^packet[2]
		}
		handle(t.Context(), from, ping)
		answers := 0
		for {
			require.NoError(t, at.SetReadDeadline(time.Now().Add(5*time.Second)))
			n, err := at.Read(buf)
			require.NoError(t, err)
			m := decode(t, buf[:n])
			if m.Type == rst && buf[2] == ping[2] {
				break
			}
			answers++
			if m.Type != non {
				require.Equal(t, packet[2:4], buf[2:4])
			}
			require.Contains(t, []message.Type{ack, rst, non}, m.Type)
			if m.Code >= codes.BadRequest {
				require.LessOrEqual(t, n, max(3*len(packet), 16))
			}
		}
		require.LessOrEqual(t, answers, 1)
	})
}

func BenchmarkPost(b *testing.B) {
	handle, at, _ := bare(b)
	from := at.LocalAddr().(*net.UDPAddr).AddrPort()
	p := post(b, con, 1, "abcdefgh", `{"t":21.53,"h":48.2,"b":3.71,"r":-67}`)
	b.ReportAllocs()
	n, one := uint32(0), [][]byte{p}
	for b.Loop() {
		n++
		binary.BigEndian.PutUint32(p[2:], n) // in the message id and the token: never a repeat
		handle(context.Background(), from, one...)
	}
}
