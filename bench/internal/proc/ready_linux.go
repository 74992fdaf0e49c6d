package proc

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// poll is how often a server that does not announce itself is asked.
const poll = 20 * time.Millisecond

// FreePort is a port of network (tcp or udp) on 127.0.0.1 that nobody holds now,
// for servers that cannot choose one themselves.
func FreePort(network string) (netip.AddrPort, error) {
	if network == "tcp" {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return netip.AddrPort{}, err
		}
		defer ln.Close()
		return netip.ParseAddrPort(ln.Addr().String())
	}
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer conn.Close()
	return netip.ParseAddrPort(conn.LocalAddr().String())
}

// Accepts is ready when addr takes a TCP connection.
func Accepts(addr netip.AddrPort) func(context.Context) error {
	return every(func() error {
		conn, err := net.Dial("tcp", addr.String())
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// Pongs is ready when addr answers a CoAP ping (RFC 7252 section 4.3): an empty
// confirmable message, answered by a reset.
func Pongs(addr netip.AddrPort) func(context.Context) error {
	return every(func() error {
		conn, err := net.Dial("udp", addr.String())
		if err != nil {
			return err
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(10 * poll)); err != nil {
			return err
		}
		if _, err := conn.Write([]byte{0x40, 0, 0x12, 0x34}); err != nil {
			return err
		}
		_, err = conn.Read(make([]byte, 16))
		return err
	})
}

func every(try func() error) func(context.Context) error {
	return func(ctx context.Context) error {
		tick := time.NewTicker(poll)
		defer tick.Stop()
		for {
			err := try()
			if err == nil {
				return nil
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return fmt.Errorf("it does not answer: %w", err)
			}
		}
	}
}
