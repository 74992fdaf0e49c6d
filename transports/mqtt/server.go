package mqtt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/weirgate/weir/transports"
)

// Server lets MQTT clients in. All its methods are safe for concurrent use.
type Server struct {
	cfg       Config
	mochi     *mochi.Server
	sessions  sessions
	dirty     dirtyList
	asking    *transports.Asking
	questions sync.WaitGroup
	counts    counters
	nextTrace atomic.Int64 // when a panic may be logged again, in Unix seconds
	quit      chan struct{}
	stopMochi sync.Once

	mu     sync.Mutex // guards below
	conns  map[*conn]struct{}
	closed bool
	wg     sync.WaitGroup // of conns
}

// listenerID is what mochi calls the one way in.
const listenerID = "mqtt"

// New makes a Server, which accepts nobody before Serve.
func New(cfg *Config) (*Server, error) {
	full, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg: full, mochi: newMochi(), asking: transports.NewAsking(maxAsked),
		quit: make(chan struct{}), conns: make(map[*conn]struct{}),
	}
	s.sessions = sessions{
		maxLive: full.MaxClients, maxOffline: full.MaxSessions, forget: s.forget,
		all: make(map[string]*session), offline: make(map[string]*session), byDevice: make(map[string][]string),
	}
	return s, s.mochi.AddHook(&hook{}, nil)
}

// newMochi makes the engine. Its own Serve is never called: that would publish
// $SYS and walk all clients every second, and the listener and the expiry of
// sessions are this package's.
func newMochi() *mochi.Server {
	limits := mochi.NewDefaultServerCapabilities()
	limits.MaximumClientWritesPending = 1 // nothing is queued there
	limits.MaximumMessageExpiryInterval = 0
	limits.MaximumSessionExpiryInterval = uint32(maxSessionExpiry / time.Second)
	limits.ReceiveMaximum = receiveMaximum
	limits.TopicAliasMaximum = aliasMaximum
	limits.Compatibilities.NoInheritedPropertiesOnAck = true
	return mochi.New(&mochi.Options{
		Capabilities: limits,
		// It is given whole packets, and reads long ones past its buffer.
		ClientNetReadBufferSize: 64,
		SysTopicResendInterval:  3600,
		// It logs what any stranger makes it say.
		Logger: slog.New(slog.DiscardHandler),
	})
}

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.cfg.Listener.Addr() }

// Serve accepts clients until Shutdown, and then returns nil; else why the
// listener failed. Call it once.
func (s *Server) Serve() error {
	ctx, cancel := context.WithCancel(context.Background())
	var helpers sync.WaitGroup
	helpers.Go(func() { s.sweep(ctx) })
	err := s.accept()
	cancel()
	helpers.Wait()
	return err
}

func (s *Server) sweep(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.sessions.sweep(s.cfg.Now())
		}
	}
}

// accept takes connections. An error of Accept that may pass (no more file
// descriptors) is waited out, and said once.
func (s *Server) accept() error {
	wait := time.Duration(0)
	for {
		sock, err := s.cfg.Listener.Accept()
		switch {
		case err == nil:
			wait = 0
			s.open(sock)
			continue
		case s.isClosed():
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("mqtt: accept: %w", err)
		case wait == 0:
			s.cfg.Log.Warn("mqtt: no connection can be accepted for now; are there file descriptors left?", "error", err)
		}
		wait = min(max(2*wait, 5*time.Millisecond), time.Second)
		select {
		case <-time.After(wait):
		case <-s.quit:
		}
	}
}

// open starts a connection, or closes it where there are too many.
func (s *Server) open(sock net.Conn) {
	c := newConn(s, sock)
	s.mu.Lock()
	ok := !s.closed && len(s.conns) < s.cfg.MaxClients+spareSockets
	if ok {
		s.conns[c] = struct{}{}
		s.wg.Add(1)
	}
	s.mu.Unlock()
	if !ok {
		_ = sock.Close()
		return
	}
	go s.serve(c)
}

// serve is a connection's goroutine.
func (s *Server) serve(c *conn) {
	defer s.forgetConn(c)
	defer c.finish()
	defer s.leave(c)
	defer s.contain()
	if c.connect() {
		// Why it ended is known to the connection; the error says no more.
		_ = s.mochi.EstablishConnection(listenerID, c)
	}
}

func (s *Server) forgetConn(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.wg.Done()
}

// traceEvery is how often, in seconds, a contained panic is logged.
const traceEvery = 60

// contain, deferred, keeps a panic from ending more than its connection.
func (s *Server) contain() {
	p := recover()
	if p == nil {
		return
	}
	s.counts.panics.Add(1)
	now, next := s.cfg.Now().Unix(), s.nextTrace.Load()
	if now >= next && s.nextTrace.CompareAndSwap(next, now+traceEvery) {
		s.cfg.Log.Error("mqtt: a packet made the decoder panic; its connection was closed. Please report this",
			"panic", p, "stack", string(debug.Stack()))
	}
}

// enter makes c its session's connection.
func (s *Server) enter(c *conn, name string, clean bool) transports.Refusal {
	if s.isClosed() {
		return transports.Refusal{Kind: transports.ShuttingDown}
	}
	if err := s.sessions.enter(name, c, clean, s.cfg.Now()); err != nil {
		return transports.Refusal{Kind: transports.StoreAway, Detail: err.Error(), Err: err}
	}
	return transports.Refusal{}
}

// leave ends c's part in its session, if it came so far.
func (s *Server) leave(c *conn) {
	if c.session == nil {
		return
	}
	c.mu.Lock()
	c.stop("closed")
	why, dirty := c.why, c.dirty
	c.acks.trim()
	c.mu.Unlock()
	if c.present {
		s.cfg.Presence.Disconnected(c.event(), why)
	}
	s.sessions.leave(c, c.keepFor, s.cfg.Now())
	// The store remembers c as long as a message of it: what else it holds goes now.
	c.in, c.pass, c.aliases = inbox{}, nil, nil
	c.pk, c.msg = packets.Packet{}, transports.Message{}
	if dirty {
		s.Flush() // not to be remembered there either
	}
}

// forget ends mochi's part of a session.
func (s *Server) forget(name string) {
	if cl, ok := s.mochi.Clients.Get(name); ok {
		s.mochi.UnsubscribeClient(cl)
		s.mochi.Clients.Delete(name)
	}
}

func (s *Server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}
