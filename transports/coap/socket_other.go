//go:build !linux

package coap

import (
	"net"
	"net/netip"
	"strconv"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// socket is the UDP socket; its methods are safe for concurrent use.
type socket struct {
	conn *net.UDPConn
	v4   bool // the family is AF_INET
	wild bool // bound to every local address
}

func newSocket(conn *net.UDPConn) (*socket, error) {
	ip := conn.LocalAddr().(*net.UDPAddr).IP
	s := &socket{conn: conn, v4: ip.To4() != nil, wild: ip.IsUnspecified()}
	if !s.wild {
		return s, nil
	}
	if s.v4 {
		return s, ipv4.NewPacketConn(conn).SetControlMessage(ipv4.FlagDst, true)
	}
	return s, ipv6.NewPacketConn(conn).SetControlMessage(ipv6.FlagDst, true)
}

// setBuffers asks for buffers of size bytes; the error tells that the kernel
// gives less.
func (s *socket) setBuffers(size int) error {
	if err := s.conn.SetReadBuffer(size); err != nil {
		return err
	}
	return s.conn.SetWriteBuffer(size)
}

// destination is the address that control data names; none if it names none.
func (s *socket) destination(oob []byte) address {
	var dst net.IP
	if s.v4 {
		var cm ipv4.ControlMessage
		if cm.Parse(oob) == nil {
			dst = cm.Dst
		}
	} else {
		var cm ipv6.ControlMessage
		if cm.Parse(oob) == nil {
			dst = cm.Dst
		}
	}
	if dst = dst.To16(); dst == nil {
		return address{}
	}
	return address(dst)
}

// control is the control data that names a source address.
func (s *socket) control(from address) []byte {
	switch {
	case from == (address{}):
		return nil
	case s.v4:
		return (&ipv4.ControlMessage{Src: net.IP(from[:])}).Marshal()
	}
	return (&ipv6.ControlMessage{Src: net.IP(from[:])}).Marshal()
}

// addrPort is e in the library's form. A scope goes by its number.
func (s *socket) addrPort(e *endpoint) netip.AddrPort {
	addr := netip.AddrFrom16(e.ip)
	if s.v4 {
		addr = addr.Unmap()
	}
	if e.zone != 0 {
		addr = addr.WithZone(strconv.Itoa(int(e.zone)))
	}
	return netip.AddrPortFrom(addr, e.port)
}

// endpointOf is the peer of the library's form.
func endpointOf(ap netip.AddrPort) endpoint {
	e := endpoint{ip: ap.Addr().As16(), port: ap.Port()}
	if zone := ap.Addr().Zone(); zone != "" {
		if ifi, err := net.InterfaceByName(zone); err == nil {
			e.zone = uint32(ifi.Index)
		} else if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
			e.zone = uint32(n)
		}
	}
	return e
}

// inbox reads one datagram a call. It is not safe for concurrent use.
type inbox struct {
	sock *socket
	one  [1]datagram
	oob  [128]byte
	slab [frameLen]byte
}

func newInbox(s *socket) *inbox { return &inbox{sock: s} }

// read waits for a datagram.
func (in *inbox) read() ([]datagram, error) {
	n, oobn, _, from, err := in.sock.conn.ReadMsgUDPAddrPort(in.slab[endpointLen:], in.oob[:])
	if err != nil {
		return nil, err
	}
	d := &in.one[0]
	d.remote, d.frame = endpointOf(from), in.slab[:endpointLen+n]
	if in.sock.wild {
		d.local = in.sock.destination(in.oob[:oobn])
	}
	return in.one[:], nil
}

// outbox writes one datagram a call. It is not safe for concurrent use.
type outbox struct {
	sock    *socket
	dropped *counter
	slab    [maxShort]byte
}

// newOutbox makes an outbox that counts in dropped what the socket refused.
func newOutbox(s *socket, dropped *counter) *outbox { return &outbox{sock: s, dropped: dropped} }

// room is where the next short datagram is to be written before post.
func (o *outbox) room() []byte { return o.slab[:] }

// post has the first n bytes of room go to a peer, from a local address.
func (o *outbox) post(n int, to *endpoint, from address) { o.postLong(o.slab[:n], to, from) }

// postLong sends a datagram of any length.
func (o *outbox) postLong(p []byte, to *endpoint, from address) {
	if _, _, err := o.sock.conn.WriteMsgUDPAddrPort(p, o.sock.control(from), o.sock.addrPort(to)); err != nil {
		o.dropped.Add(1)
	}
}

// flush writes what is gathered: nothing, here.
func (o *outbox) flush() {}
