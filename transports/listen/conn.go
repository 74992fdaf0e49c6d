package listen

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	proxyproto "github.com/pires/go-proxyproto"
)

// ErrHostBusy says that the client a proxy names has MaxPerHost connections
// open already.
var ErrHostBusy = errors.New("listen: the host has too many connections open")

// Conn is an accepted connection. Where a PROXY header is due, the first Read,
// Write, LocalAddr, RemoteAddr or Peer waits for it, at most HeaderTimeout; a
// bad header fails every Read and Write from then on.
type Conn struct {
	raw   net.Conn
	l     *Listener
	proxy *proxyproto.Conn // nil: no header is due

	once    sync.Once  // settles what follows, if proxy is not nil
	addr    netip.Addr // the client; invalid if nobody can be named
	counted bool       // addr is a host, no trusted proxy
	err     error

	host   netip.Addr // l.mu: what it is counted under; invalid if it is not
	closed bool       // l.mu
}

// Peer says whose connection c is: of a *Conn, also inside wrappers that have a
// NetConn method (tls.Conn), the client's address, else the socket's peer. It
// may wait for a PROXY header: call it from the connection's own goroutine,
// never from an accept loop.
//
// counted is false where addr is a trusted proxy's own, or no address is known
// (LOCAL command, UNKNOWN protocol, a bad header): such a connection is counted
// for nobody, unless its requests name a client (see Forwarded).
func Peer(c net.Conn) (addr netip.Addr, counted bool) {
	for {
		switch v := c.(type) {
		case *Conn:
			v.settle()
			return v.addr, v.counted
		case interface{ NetConn() net.Conn }:
			c = v.NetConn()
		default:
			addr = addrOf(c.RemoteAddr())
			return addr, addr.IsValid()
		}
	}
}

// settle reads the PROXY header, once, and counts the connection for the client
// it names.
func (c *Conn) settle() {
	if c.proxy == nil {
		return
	}
	c.once.Do(func() {
		// Reading nothing waits for the header and says what became of it.
		if _, c.err = c.proxy.Read(nil); c.err != nil {
			c.addr, c.counted = netip.Addr{}, false
			c.l.badHeaders.Add(1)
			return
		}
		c.name(c.proxy.ProxyHeader())
	})
}

// name takes the client's address from a header; without one (LOCAL, UNKNOWN,
// a UNIX socket) the proxy speaks for itself.
func (c *Conn) name(h *proxyproto.Header) {
	if h == nil || h.Command.IsLocal() {
		return
	}
	addr := addrOf(h.SourceAddr)
	if !addr.IsValid() {
		return
	}
	c.addr, c.counted = addr, !c.l.trusted.Contains(addr)
	if !c.counted {
		return
	}
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	if !c.closed && !c.l.take(c) {
		c.err = ErrHostBusy
	}
}

// Read reads what follows the PROXY header.
func (c *Conn) Read(b []byte) (int, error) {
	if c.proxy == nil {
		return c.raw.Read(b)
	}
	if c.settle(); c.err != nil {
		return 0, c.err
	}
	return c.proxy.Read(b)
}

// Write writes to the peer.
func (c *Conn) Write(b []byte) (int, error) {
	if c.settle(); c.err != nil {
		return 0, c.err
	}
	return c.raw.Write(b)
}

// Close closes the connection and frees its place. It is idempotent.
func (c *Conn) Close() error {
	if !c.l.release(c) {
		return nil
	}
	return c.raw.Close()
}

// CloseWrite ends the sending side, so that a last answer is not lost to what
// the peer still sends; it does nothing on sockets that cannot.
func (c *Conn) CloseWrite() error {
	if half, ok := c.raw.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// LocalAddr is where the client connected to, as the PROXY header says it, else
// the socket's own address.
func (c *Conn) LocalAddr() net.Addr {
	if c.proxy == nil {
		return c.raw.LocalAddr()
	}
	c.settle()
	return c.proxy.LocalAddr()
}

// RemoteAddr is the client's address as the PROXY header says it, else the
// socket's peer.
func (c *Conn) RemoteAddr() net.Addr {
	if c.proxy == nil {
		return c.raw.RemoteAddr()
	}
	c.settle()
	return c.proxy.RemoteAddr()
}

// SetDeadline sets both deadlines; one later than the PROXY header's does not
// lengthen the wait for it.
func (c *Conn) SetDeadline(t time.Time) error {
	if c.proxy != nil {
		return c.proxy.SetDeadline(t)
	}
	return c.raw.SetDeadline(t)
}

// SetReadDeadline is as SetDeadline, for reads.
func (c *Conn) SetReadDeadline(t time.Time) error {
	if c.proxy != nil {
		return c.proxy.SetReadDeadline(t)
	}
	return c.raw.SetReadDeadline(t)
}

// SetWriteDeadline sets the deadline of writes.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.raw.SetWriteDeadline(t) }

// NetConn is the socket itself, a *net.TCPConn if TCP bound it. Writing to it is
// the same as writing to c; reading from it would miss what came with a PROXY
// header. Close c, never the socket.
func (c *Conn) NetConn() net.Conn { return c.raw }

// SyscallConn is the socket's, for writes that must not block.
func (c *Conn) SyscallConn() (syscall.RawConn, error) {
	if s, ok := c.raw.(syscall.Conn); ok {
		return s.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}

// addrOf is the IP address in a, IPv4 as IPv4; invalid if there is none.
func addrOf(a net.Addr) netip.Addr {
	switch v := a.(type) {
	case *net.TCPAddr:
		return v.AddrPort().Addr().Unmap()
	case *net.UDPAddr:
		return v.AddrPort().Addr().Unmap()
	case nil:
		return netip.Addr{}
	}
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}
