package coap

import (
	"log/slog"
	"net/netip"
	"time"

	"github.com/weirgate/weir/transports"
)

// Defaults of Config.
const (
	// DefaultReadBuffer is the size of the socket's buffers in bytes: at some
	// 770 bytes of kernel memory a small datagram, a burst of 5,000.
	DefaultReadBuffer = 4 << 20
	// DefaultMaxPending is how many messages may await the store: 10 s (the
	// store's bound) of 3,000 a second, in about 5 MiB.
	DefaultMaxPending = 32768
	// MaxMaxPending is the most that Config.MaxPending may be.
	MaxMaxPending = 1 << 20
)

// Config is what a Server is made of.
type Config struct {
	// Address is where to listen: host:port, port 0 for any. An empty host or
	// [::] is every local address of both families, 0.0.0.0 of IPv4 alone.
	Address string
	// Gate admits and takes messages. Required.
	Gate *transports.Gate
	// Log is told of the socket's buffers being smaller than wanted, at Listen;
	// of where a panic was contained, at most once a minute and without anything
	// that was received; and of nothing else. nil: nobody is told.
	Log *slog.Logger
	// Now is the clock by which the separate responses and the lifetime of
	// message ids go. nil: time.Now.
	Now func() time.Time
	// ReadBuffer is the size of the socket's receive and send buffers in bytes.
	// 0: DefaultReadBuffer.
	ReadBuffer int
	// MaxPending bounds the messages that await the store and the separate
	// responses that await their acknowledgement, together; at the bound new
	// messages are answered 5.03. 0: DefaultMaxPending; over MaxMaxPending is
	// taken as that.
	MaxPending int
}

// withDefaults is c with its zeros filled in.
func (c Config) withDefaults() Config {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.ReadBuffer <= 0 {
		c.ReadBuffer = DefaultReadBuffer
	}
	if c.MaxPending <= 0 {
		c.MaxPending = DefaultMaxPending
	}
	c.MaxPending = min(c.MaxPending, MaxMaxPending)
	return c
}

// network is the Go network of an address: "udp" takes 0.0.0.0 for both
// families, which is not what somebody who wrote it meant.
func network(address string) string {
	if ap, err := netip.ParseAddrPort(address); err == nil && ap.Addr().Is4() {
		return "udp4"
	}
	return "udp"
}
