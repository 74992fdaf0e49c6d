package load

import (
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// answerTimeout bounds the handshakes, which block.
const answerTimeout = 5 * time.Second

// tcp connects to addr.
func tcp(addr netip.AddrPort) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return closed(fd, err)
	}
	return connected(fd, addr)
}

// udp connects to addr from an address of its own in 127.1.0.0/16, so that each
// device is a host.
func udp(addr netip.AddrPort, i int) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	from := &unix.SockaddrInet4{Addr: [4]byte{127, 1, byte(i >> 8), byte(i)}}
	if err := unix.Bind(fd, from); err != nil {
		return closed(fd, err)
	}
	return connected(fd, addr)
}

func connected(fd int, addr netip.AddrPort) (int, error) {
	timeout := unix.NsecToTimeval(answerTimeout.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
		return closed(fd, err)
	}
	to := &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().Unmap().As4()}
	if err := unix.Connect(fd, to); err != nil {
		return closed(fd, fmt.Errorf("connect %s: %w", addr, err))
	}
	return fd, nil
}

func closed(fd int, err error) (int, error) {
	_ = unix.Close(fd)
	return -1, err
}
