package listen_test

import (
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	proxyproto "github.com/pires/go-proxyproto"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/weirgate/weir/transports/listen"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open is a listener on loopback, closed with the test.
func open(t *testing.T, cfg listen.Config) *listen.Listener {
	t.Helper()
	cfg.Address = "127.0.0.1:0"
	l, err := listen.TCP(t.Context(), &cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// dial connects to l and hands out both ends, closed with the test.
func dial(t *testing.T, l *listen.Listener) (client, server net.Conn) {
	t.Helper()
	client = dialOnly(t, l)
	server, err := l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	return client, server
}

func dialOnly(t *testing.T, l *listen.Listener) net.Conn {
	t.Helper()
	client, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func trusted(t *testing.T, texts ...string) []netip.Prefix {
	t.Helper()
	p, err := listen.ParsePrefixes(texts)
	require.NoError(t, err)
	return p
}

func header(t *testing.T, version byte, src string) []byte {
	t.Helper()
	from := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(src))
	to := net.TCPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.80:80"))
	if from.IP.To4() == nil {
		to = net.TCPAddrFromAddrPort(netip.MustParseAddrPort("[2001:db8::80]:80"))
	}
	b, err := proxyproto.HeaderProxyFromAddrs(version, from, to).Format()
	require.NoError(t, err)
	return b
}

func TestPeerOfADirectConnection(t *testing.T) {
	l := open(t, listen.Config{ProxyProtocol: listen.ProxyOn, TrustedProxies: trusted(t, "192.0.2.0/24")})
	client, server := dial(t, l)
	addr, counted := listen.Peer(server)
	require.Equal(t, "127.0.0.1", addr.String())
	require.True(t, counted)
	require.Equal(t, client.LocalAddr().String(), server.RemoteAddr().String())

	// An untrusted peer's header is data like any other.
	forged := header(t, 1, "203.0.113.9:4000")
	_, err := client.Write(forged)
	require.NoError(t, err)
	got := make([]byte, len(forged))
	_, err = io.ReadFull(server, got)
	require.NoError(t, err)
	require.Equal(t, forged, got)
	addr, _ = listen.Peer(server)
	require.Equal(t, "127.0.0.1", addr.String())
}

func TestPeerOfAPlainConn(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = ln.Close() }()
	c, err := net.Dial("tcp", ln.Addr().String())
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	addr, counted := listen.Peer(c)
	require.Equal(t, "127.0.0.1", addr.String())
	require.True(t, counted)

	pipe, other := net.Pipe()
	defer func() { _, _ = pipe.Close(), other.Close() }()
	addr, counted = listen.Peer(pipe)
	require.False(t, addr.IsValid())
	require.False(t, counted)
}

func TestProxyHeader(t *testing.T) {
	local, err := (&proxyproto.Header{Version: 2, Command: proxyproto.LOCAL}).Format()
	require.NoError(t, err)
	for _, tt := range []struct {
		name    string
		header  []byte
		addr    string
		counted bool
	}{
		{"v1", header(t, 1, "203.0.113.9:4000"), "203.0.113.9", true},
		{"v2", header(t, 2, "203.0.113.9:4000"), "203.0.113.9", true},
		{"v1 IPv6", header(t, 1, "[2001:db8::9]:4000"), "2001:db8::9", true},
		{"v2 IPv6", header(t, 2, "[2001:db8::9]:4000"), "2001:db8::9", true},
		{"v2 v4-in-v6", []byte("PROXY TCP6 ::ffff:203.0.113.9 2001:db8::80 1 2\r\n"), "203.0.113.9", true},
		{"names another proxy", header(t, 2, "127.0.0.7:4000"), "127.0.0.7", false},
		{"v2 LOCAL", local, "127.0.0.1", false},
		{"v1 UNKNOWN", []byte("PROXY UNKNOWN\r\n"), "127.0.0.1", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := open(t, listen.Config{ProxyProtocol: listen.ProxyOn, TrustedProxies: trusted(t, "127.0.0.0/8")})
			client, server := dial(t, l)
			_, err := client.Write(append(tt.header, "hello"...))
			require.NoError(t, err)
			addr, counted := listen.Peer(server)
			require.Equal(t, tt.addr, addr.String())
			require.Equal(t, tt.counted, counted)
			got := make([]byte, 5)
			_, err = io.ReadFull(server, got)
			require.NoError(t, err)
			require.Equal(t, "hello", string(got))
			host, _, err := net.SplitHostPort(server.RemoteAddr().String())
			require.NoError(t, err)
			require.Equal(t, tt.addr, netip.MustParseAddr(host).Unmap().String())
			_, err = server.Write([]byte("bye"))
			require.NoError(t, err)
			_, err = io.ReadFull(client, got[:3])
			require.NoError(t, err)
			require.Equal(t, "bye", string(got[:3]))
		})
	}
}

func TestProxyHeaderThatIsNone(t *testing.T) {
	for name, sent := range map[string]string{
		"a request":   "GET / HTTP/1.1\r\n\r\n",
		"a bad line":  "PROXY TCP4 300.1.1.1 1.1.1.1 1 2\r\n",
		"an endless":  "PROXY TCP4 " + string(make([]byte, 500)),
		"a huge v2":   "\r\n\r\n\x00\r\nQUIT\n\x21\x11\xff\xff",
		"too late":    "",
		"cut in half": "PROXY TCP4 203.0.113.9",
	} {
		t.Run(name, func(t *testing.T) {
			l := open(t, listen.Config{
				ProxyProtocol: listen.ProxyOn, TrustedProxies: trusted(t, "127.0.0.1"),
				HeaderTimeout: 50 * time.Millisecond,
			})
			client, server := dial(t, l)
			_, err := client.Write([]byte(sent))
			require.NoError(t, err)
			_, err = server.Read(make([]byte, 1))
			require.Error(t, err)
			_, err = server.Write([]byte("x"))
			require.Error(t, err)
			addr, counted := listen.Peer(server)
			require.False(t, addr.IsValid())
			require.False(t, counted)
			require.EqualValues(t, 1, l.Stats().BadHeaders)
		})
	}
}

func TestSlowHeaderHoldsNobodyUp(t *testing.T) {
	l := open(t, listen.Config{ProxyProtocol: listen.ProxyOn, TrustedProxies: trusted(t, "127.0.0.1")})
	slow, server := dial(t, l)
	done := make(chan netip.Addr, 1)
	go func() {
		addr, _ := listen.Peer(server)
		done <- addr
	}()
	quick, other := dial(t, l) // accepted while the first one still waits
	_, err := quick.Write(header(t, 1, "203.0.113.9:4000"))
	require.NoError(t, err)
	addr, _ := listen.Peer(other)
	require.Equal(t, "203.0.113.9", addr.String())
	for _, b := range header(t, 2, "203.0.113.10:4000") {
		_, err = slow.Write([]byte{b})
		require.NoError(t, err)
	}
	require.Equal(t, "203.0.113.10", (<-done).String())
}

func TestBounds(t *testing.T) {
	t.Run("in all", func(t *testing.T) {
		l := open(t, listen.Config{MaxConns: 2, MaxPerHost: 2})
		_, first := dial(t, l)
		dial(t, l)
		over := dialOnly(t, l)
		next := make(chan error, 1)
		go func() {
			c, err := l.Accept()
			if err == nil {
				err = c.Close()
			}
			next <- err
		}()
		_, err := over.Read(make([]byte, 1))
		require.Error(t, err)
		require.Eventually(t, func() bool { return l.Stats().OverTotal == 1 }, 5*time.Second, time.Millisecond)
		require.NoError(t, first.Close())
		require.NoError(t, first.Close(), "closing twice frees one place")
		dialOnly(t, l)
		require.NoError(t, <-next)
		require.Equal(t, listen.Stats{Open: 1, Accepted: 3, OverTotal: 1}, l.Stats())
	})
	t.Run("of one host", func(t *testing.T) {
		l := open(t, listen.Config{MaxConns: 8})
		dial(t, l)
		_, server := dial(t, l)
		over := dialOnly(t, l)
		go func() {
			if c, err := l.Accept(); err == nil {
				_ = c.Close()
			}
		}()
		_, err := over.Read(make([]byte, 1))
		require.Error(t, err)
		require.Eventually(t, func() bool { return l.Stats().OverHost == 1 }, 5*time.Second, time.Millisecond)
		require.NoError(t, server.Close())
		dialOnly(t, l)
		require.Eventually(t, func() bool { return l.Stats().Accepted == 3 }, 5*time.Second, time.Millisecond)
	})
	t.Run("of one host behind a proxy", func(t *testing.T) {
		l := open(t, listen.Config{
			MaxConns: 10, MaxPerHost: 1, ProxyProtocol: listen.ProxyOn, TrustedProxies: trusted(t, "127.0.0.1"),
		})
		send := func(src string) (net.Conn, error) {
			client, server := dial(t, l)
			_, err := client.Write(header(t, 2, src))
			require.NoError(t, err)
			_, err = server.Write([]byte("x"))
			return server, err
		}
		first, err := send("[2001:db8::1]:1")
		require.NoError(t, err)
		_, err = send("203.0.113.9:1")
		require.NoError(t, err)
		_, err = send("[2001:db8::2]:1") // the same /64
		require.ErrorIs(t, err, listen.ErrHostBusy)
		require.NoError(t, first.Close())
		_, err = send("[2001:db8::3]:1")
		require.NoError(t, err)
	})
}

func TestRawSocket(t *testing.T) {
	l := open(t, listen.Config{})
	client, server := dial(t, l)
	require.IsType(t, &net.TCPConn{}, server.(*listen.Conn).NetConn())
	raw, err := server.(syscall.Conn).SyscallConn()
	require.NoError(t, err)
	require.NoError(t, raw.Control(func(uintptr) {}))
	require.NoError(t, server.SetDeadline(time.Unix(1, 0)))
	_, err = server.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.NoError(t, server.SetDeadline(time.Time{}))
	require.NoError(t, server.(*listen.Conn).CloseWrite())
	_, err = client.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
}

func TestBindErrors(t *testing.T) {
	l := open(t, listen.Config{})
	for _, tt := range []struct{ name, address, want string }{
		{"taken", l.Addr().String(), "listen tcp " + l.Addr().String() + ": address already in use; stop what listens there or set another address"},
		{"foreign", "192.0.2.1:0", "listen tcp 192.0.2.1:0: this machine has no such address; set one of its own, or 0.0.0.0 or [::] for all"},
		{"no port", "127.0.0.1", "listen tcp 127.0.0.1: missing port in address; expected host:port"},
		{"bad port", "127.0.0.1:99999", "listen tcp 127.0.0.1:99999: invalid port; expected host:port"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := listen.TCP(t.Context(), &listen.Config{Address: tt.address})
			require.EqualError(t, err, tt.want)
		})
	}
	_, err := listen.TCP(t.Context(), &listen.Config{Address: l.Addr().String()})
	require.ErrorIs(t, err, syscall.EADDRINUSE)
}

// flaky is a listener whose Accept fails with each of errs before it works.
type flaky struct {
	net.Listener
	errs []error
}

func (f *flaky) Accept() (net.Conn, error) {
	if len(f.errs) == 0 {
		return f.Listener.Accept()
	}
	err := f.errs[0]
	f.errs = f.errs[1:]
	return nil, &net.OpError{Op: "accept", Err: err}
}

func TestAcceptWaitsOutWhatPasses(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := listen.New(&flaky{ln, []error{syscall.EMFILE, syscall.ECONNABORTED, syscall.ENFILE}}, &listen.Config{})
	dial(t, l)
	require.EqualValues(t, 3, l.Stats().Retries)
	require.NoError(t, l.Close())
	require.NoError(t, l.Close())
	_, err = l.Accept()
	require.ErrorIs(t, err, net.ErrClosed)
}

func TestCloseEndsAPause(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	starved := make([]error, 1<<16)
	for i := range starved {
		starved[i] = syscall.EMFILE
	}
	starved[40] = syscall.EBADF
	l := listen.New(&flaky{ln, starved}, &listen.Config{})
	done := make(chan error, 1)
	go func() {
		_, err := l.Accept()
		done <- err
	}()
	require.Eventually(t, func() bool { return l.Stats().Retries >= 2 }, 5*time.Second, time.Millisecond)
	require.NoError(t, l.Close())
	require.ErrorIs(t, <-done, syscall.EBADF)
}

func TestDefaultMaxConns(t *testing.T) {
	require.Equal(t, 16, listen.DefaultMaxConns(0))
	require.Equal(t, 341, listen.DefaultMaxConns(1024))
	require.Equal(t, listen.MaxDefaultConns, listen.DefaultMaxConns(1<<63))
}

func TestDefaultMaxPerHost(t *testing.T) {
	for conns, want := range map[int]int{
		1: 1, 3: 1, 16: 4, 341: 85, 20479: 5119, // a quarter
		20480: 10240, 21845: 10240, 40959: 10240, // a site of 10,000, and half is left
		40964: 10241, listen.MaxDefaultConns: 16384,
	} {
		require.Equal(t, want, listen.DefaultMaxPerHost(conns), conns)
	}
}

// TestTwoHostsLeaveRoom: what two sources can hold is not all there is.
func TestTwoHostsLeaveRoom(t *testing.T) {
	const conns = 16
	l := open(t, listen.Config{MaxConns: conns, ProxyProtocol: listen.ProxyOn, TrustedProxies: trusted(t, "127.0.0.1")})
	send := func(src string) error {
		client, server := dial(t, l)
		_, err := client.Write(header(t, 2, src))
		require.NoError(t, err)
		if _, err = server.Write([]byte("x")); err != nil {
			_ = server.Close()
		}
		return err
	}
	for range conns/2 - 1 { // so that half for each would not fill it: Accept would wait for ever
		_, _ = send("203.0.113.1:1"), send("203.0.113.2:1")
	}
	require.Equal(t, 8, l.Stats().Open)
	require.NoError(t, send("203.0.113.3:1"))
}
