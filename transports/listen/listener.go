package listen

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	proxyproto "github.com/pires/go-proxyproto"
)

// ProxyProtocol says whether trusted proxies send a PROXY header.
type ProxyProtocol bool

// The values of ProxyProtocol.
const (
	ProxyOff ProxyProtocol = false // nobody's bytes are taken for a header
	ProxyOn  ProxyProtocol = true  // a trusted proxy must send one, version 1 or 2
)

// DefaultHeaderTimeout is how long a trusted proxy has to send its PROXY
// header: it is a proxy's first packet, and the specification's (2.) 3 seconds
// allow for one lost packet; 5 for two.
const DefaultHeaderTimeout = 5 * time.Second

// Config is what a Listener is made of.
type Config struct {
	// Address is host:port; port 0 takes a free one. Required by TCP, unused
	// by New.
	Address string
	// ProxyProtocol off (the zero value) ignores TrustedProxies but for Peer.
	ProxyProtocol ProxyProtocol
	// TrustedProxies are the peers that may speak for others, masked and with
	// IPv4 as IPv4 (see ParsePrefixes). Nil: none. Anybody else's bytes are
	// never parsed as a PROXY header.
	TrustedProxies []netip.Prefix
	// MaxConns bounds the open connections; one more is accepted and closed at
	// once. 0 or less: DefaultMaxConns of the process's limit on open files.
	MaxConns int
	// MaxPerHost bounds those of one IPv4 address or IPv6 /64. 0 or less:
	// DefaultMaxPerHost of MaxConns. A trusted proxy speaking for itself is not
	// held to it.
	MaxPerHost int
	// HeaderTimeout bounds the wait for a PROXY header. 0 or less:
	// DefaultHeaderTimeout.
	HeaderTimeout time.Duration
}

// Stats is what a Listener has seen since it was made.
type Stats struct {
	Open       int    // connections open now
	Accepted   uint64 // connections handed out by Accept
	OverTotal  uint64 // closed at once: MaxConns were open
	OverHost   uint64 // closed: the host had MaxPerHost open
	BadHeaders uint64 // a trusted proxy sent no PROXY header, a bad or a late one
	Retries    uint64 // Accept errors that were waited out (out of files, aborted)
}

// Listener is a net.Listener that hands out *Conn. It is safe for concurrent
// use.
type Listener struct {
	ln      net.Listener
	cfg     Config
	trusted Prefixes
	done    chan struct{}
	closing sync.Once

	accepted, overTotal, overHost, badHeaders, retries atomic.Uint64

	mu    sync.Mutex // guards what follows, and each Conn's host and closed
	open  int
	hosts map[netip.Addr]int // at most MaxConns entries, each over 0
}

// TCP binds cfg.Address. The error is one line that names the address and says
// what to do; errors.Is finds the system's error in it.
func TCP(ctx context.Context, cfg *Config) (*Listener, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.Address)
	if err != nil {
		return nil, newBindError(cfg.Address, err)
	}
	return New(ln, cfg), nil
}

// New is a Listener over a socket that is bound already. It owns ln.
func New(ln net.Listener, cfg *Config) *Listener {
	l := &Listener{
		ln: ln, cfg: *cfg, trusted: cfg.TrustedProxies,
		done: make(chan struct{}), hosts: map[netip.Addr]int{},
	}
	if l.cfg.MaxConns <= 0 {
		l.cfg.MaxConns = DefaultMaxConns(openFiles())
	}
	if l.cfg.MaxPerHost <= 0 {
		l.cfg.MaxPerHost = DefaultMaxPerHost(l.cfg.MaxConns)
	}
	if l.cfg.HeaderTimeout <= 0 {
		l.cfg.HeaderTimeout = DefaultHeaderTimeout
	}
	return l
}

// Addr is the real address, port included.
func (l *Listener) Addr() net.Addr { return l.ln.Addr() }

// Close stops listening; connections handed out stay open. It is idempotent.
func (l *Listener) Close() error {
	var err error
	l.closing.Do(func() {
		close(l.done)
		err = l.ln.Close()
	})
	return err
}

// Accept hands out the next connection that fits the bounds, a *Conn. It never
// waits for a PROXY header, and waits out the errors that pass (no more files,
// a peer gone already); net.ErrClosed after Close.
func (l *Listener) Accept() (net.Conn, error) {
	wait := time.Duration(0)
	for {
		raw, err := l.ln.Accept()
		switch {
		case err == nil:
			if c := l.admit(raw); c != nil {
				return c, nil
			}
			_ = raw.Close() // over a bound: nothing is owed to the peer
			wait = 0
		case !passing(err):
			return nil, err
		default:
			l.retries.Add(1)
			wait = l.pause(err, wait)
		}
	}
}

// admit counts raw, or returns nil if a bound is reached.
func (l *Listener) admit(raw net.Conn) *Conn {
	c := &Conn{raw: raw, l: l, addr: addrOf(raw.RemoteAddr())}
	c.counted = c.addr.IsValid() && !l.trusted.Contains(c.addr)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open >= l.cfg.MaxConns {
		l.overTotal.Add(1)
		return nil
	}
	if c.counted && !l.take(c) {
		return nil
	}
	if !c.counted && l.cfg.ProxyProtocol == ProxyOn {
		c.proxy = proxyproto.NewConn(raw, proxyproto.WithPolicy(proxyproto.REQUIRE),
			proxyproto.SetReadHeaderTimeout(l.cfg.HeaderTimeout))
	}
	l.open++
	l.accepted.Add(1)
	return c
}

// take counts c for its host, unless that one is at its bound. l.mu is held.
func (l *Listener) take(c *Conn) bool {
	host := bucket(c.addr)
	if l.hosts[host] >= l.cfg.MaxPerHost {
		l.overHost.Add(1)
		return false
	}
	l.hosts[host]++
	c.host = host
	return true
}

// release forgets a closed connection; false if it was closed before.
func (l *Listener) release(c *Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.closed {
		return false
	}
	c.closed = true
	l.open--
	if c.host.IsValid() {
		if l.hosts[c.host]--; l.hosts[c.host] == 0 {
			delete(l.hosts, c.host)
		}
	}
	return true
}

// Stats is the state of the counters.
func (l *Listener) Stats() Stats {
	l.mu.Lock()
	open := l.open
	l.mu.Unlock()
	return Stats{
		Open: open, Accepted: l.accepted.Load(), OverTotal: l.overTotal.Load(),
		OverHost: l.overHost.Load(), BadHeaders: l.badHeaders.Load(), Retries: l.retries.Load(),
	}
}

// bucket is what MaxPerHost counts: an IPv4 address or an IPv6 /64, which is
// what one site is given.
func bucket(addr netip.Addr) netip.Addr {
	if addr.Is4() {
		return addr
	}
	p, err := addr.WithZone("").Prefix(64)
	if err != nil {
		return addr
	}
	return p.Addr()
}
