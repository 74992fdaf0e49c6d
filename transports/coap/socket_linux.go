package coap

import (
	"fmt"
	"net"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// socket is the UDP socket; its methods are safe for concurrent use.
type socket struct {
	conn *net.UDPConn
	raw  syscall.RawConn
	v4   bool // the family is AF_INET
	wild bool // bound to every local address
}

func newSocket(conn *net.UDPConn) (*socket, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	ip := conn.LocalAddr().(*net.UDPAddr).IP
	s := &socket{conn: conn, raw: raw, v4: ip.To4() != nil, wild: ip.IsUnspecified()}
	if s.wild {
		err = s.control(s.wantDestination)
	}
	return s, err
}

// control runs f on the file descriptor.
func (s *socket) control(f func(fd int) error) error {
	var err error
	if e := s.raw.Control(func(fd uintptr) { err = f(int(fd)) }); e != nil {
		return e
	}
	return err
}

// wantDestination has the kernel say to which address a datagram was sent. Over
// an IPv6 socket it says so of IPv4 too.
func (s *socket) wantDestination(fd int) error {
	if s.v4 {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
}

// setBuffers asks for buffers of size bytes, past the system's limit where the
// process may; the error tells that the kernel gave less.
func (s *socket) setBuffers(size int) error {
	return s.control(func(fd int) error {
		for _, o := range [...]struct{ force, plain int }{
			{unix.SO_RCVBUFFORCE, unix.SO_RCVBUF}, {unix.SO_SNDBUFFORCE, unix.SO_SNDBUF},
		} {
			if unix.SetsockoptInt(fd, unix.SOL_SOCKET, o.force, size) != nil {
				_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, o.plain, size) // what was given is read below
			}
		}
		// The kernel doubles what it is given for its own overhead (socket(7)).
		got, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
		if err == nil && got/2 < size {
			err = fmt.Errorf("the kernel gives %d of %d bytes: raise net.core.rmem_max and net.core.wmem_max", got/2, size)
		}
		return err
	})
}

// mark puts the source address from into a message's control data.
func (s *socket) mark(h *unix.Msghdr, c *controlData, from address) {
	h.Control, h.Controllen = nil, 0
	if from == (address{}) {
		return
	}
	h.Control = (*byte)(unsafe.Pointer(c))
	head := (*unix.Cmsghdr)(unsafe.Pointer(c))
	body := unsafe.Add(unsafe.Pointer(c), unix.CmsgLen(0))
	if s.v4 {
		head.Level, head.Type = unix.IPPROTO_IP, unix.IP_PKTINFO
		head.SetLen(unix.CmsgLen(unix.SizeofInet4Pktinfo))
		h.SetControllen(unix.CmsgSpace(unix.SizeofInet4Pktinfo))
		*(*unix.Inet4Pktinfo)(body) = unix.Inet4Pktinfo{Spec_dst: from.as4()}
		return
	}
	head.Level, head.Type = unix.IPPROTO_IPV6, unix.IPV6_PKTINFO
	head.SetLen(unix.CmsgLen(unix.SizeofInet6Pktinfo))
	h.SetControllen(unix.CmsgSpace(unix.SizeofInet6Pktinfo))
	*(*unix.Inet6Pktinfo)(body) = unix.Inet6Pktinfo{Addr: from}
}

// destination is the address that control data names; none if it names none.
func destination(h *unix.Msghdr, c *controlData) address {
	if int(h.Controllen) < unix.CmsgLen(unix.SizeofInet4Pktinfo) {
		return address{}
	}
	head := (*unix.Cmsghdr)(unsafe.Pointer(c))
	body := unsafe.Add(unsafe.Pointer(c), unix.CmsgLen(0))
	switch {
	case head.Level == unix.IPPROTO_IP && head.Type == unix.IP_PKTINFO:
		return v4((*unix.Inet4Pktinfo)(body).Spec_dst)
	case head.Level == unix.IPPROTO_IPV6 && head.Type == unix.IPV6_PKTINFO &&
		int(h.Controllen) >= unix.CmsgLen(unix.SizeofInet6Pktinfo):
		return (*unix.Inet6Pktinfo)(body).Addr
	}
	return address{}
}

// controlData is room for one packet information of either family (40 bytes at
// most), aligned as the kernel wants it.
type controlData [6]uint64

// setName writes e as the socket address of a message.
func (s *socket) setName(h *unix.Msghdr, name *unix.RawSockaddrInet6, e *endpoint) {
	h.Name = (*byte)(unsafe.Pointer(name))
	if s.v4 {
		sa := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
		*sa = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: swap(e.port), Addr: e.ip.as4()}
		h.Namelen = unix.SizeofSockaddrInet4
		return
	}
	*name = unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: swap(e.port), Addr: e.ip, Scope_id: e.zone}
	h.Namelen = unix.SizeofSockaddrInet6
}

// endpointOf reads a socket address.
func endpointOf(name *unix.RawSockaddrInet6) endpoint {
	if name.Family == unix.AF_INET {
		sa := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
		return endpoint{ip: v4(sa.Addr), port: swap(sa.Port)}
	}
	return endpoint{ip: name.Addr, zone: name.Scope_id, port: swap(name.Port)}
}

// swap turns a port between the network's order and this machine's.
func swap(port uint16) uint16 {
	b := (*[2]byte)(unsafe.Pointer(&port))
	return uint16(b[0])<<8 | uint16(b[1])
}
