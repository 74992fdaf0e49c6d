package coap

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirgate/weir/transports"
)

// Server is the front-end: New, Listen, Serve, Shutdown, each once and in this
// order. All methods are safe for concurrent use.
type Server struct {
	cfg    Config
	pool   *pool
	seen   *dedup
	counts counters
	mid    atomic.Uint32 // the last message id of ours
	asking *transports.Asking
	work   sync.WaitGroup // the timer and the questions
	alarm  alarm

	outMu sync.Mutex // guards out
	out   *sender    // answers to what was not answered at once; nil before Listen

	mu      sync.Mutex // guards the fields below
	sock    *socket    // nil before Listen
	stop    func()     // ends the timer and the questions; nil before Serve
	read    chan struct{}
	closing bool
}

// New makes a Server of a Config, of which it keeps a copy.
func New(cfg *Config) *Server {
	c := cfg.withDefaults()
	now := c.Now()
	s := &Server{
		cfg: c, pool: newPool(c.MaxPending, now), seen: newDedup(now),
		asking: transports.NewAsking(maxQuestions), read: make(chan struct{}),
	}
	s.mid.Store(rand.Uint32())
	return s
}

// Listen binds the address; from then on Addr is true. ctx bounds the look-up
// of a host name.
func (s *Server) Listen(ctx context.Context) error {
	var lc net.ListenConfig
	conn, err := lc.ListenPacket(ctx, network(s.cfg.Address), s.cfg.Address)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) && op.Err != nil {
			err = op.Err // net repeats the address
		}
		return fmt.Errorf("coap: cannot listen on %s: free the port or change the address: %w", s.cfg.Address, err)
	}
	sock, err := newSocket(conn.(*net.UDPConn))
	if err != nil {
		return errors.Join(fmt.Errorf("coap: cannot prepare the socket on %s: %w", s.cfg.Address, err), conn.Close())
	}
	if err := sock.setBuffers(s.cfg.ReadBuffer); err != nil {
		s.cfg.Log.Warn("coap: the socket's buffers are small, so that bursts may be lost", "address", s.cfg.Address, "error", err)
	}
	s.outMu.Lock()
	s.out = newSender(sock, &s.counts.dropped)
	s.outMu.Unlock()
	s.mu.Lock()
	s.sock = sock
	s.mu.Unlock()
	return nil
}

// Addr is the address that is bound; nil before Listen.
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sock == nil {
		return nil
	}
	return s.sock.conn.LocalAddr()
}

// ErrNotListening says that Serve was called without a successful Listen, or
// twice.
var ErrNotListening = errors.New("coap: Serve needs a Listen before, and is called once")

// Serve reads and answers until Shutdown, and then gives nil, at once if that
// came first; or until the socket fails, and then gives its error.
func (s *Server) Serve() error {
	ctx, cancel := context.WithCancel(context.Background())
	s.mu.Lock()
	if s.closing || s.sock == nil || s.stop != nil {
		closing := s.closing
		s.mu.Unlock()
		cancel()
		if closing {
			return nil
		}
		return ErrNotListening
	}
	s.stop = cancel
	sock := s.sock
	s.mu.Unlock()
	defer close(s.read)
	s.work.Go(func() { s.keepTime(ctx, sock) })
	return newFront(s, sock).run(ctx)
}

// Shutdown stops reading, waits until everything in hand is answered or ctx
// ends (then with ctx's error), and closes the socket. Separate responses that
// are not acknowledged by then are sent no more. It may be called again.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	sock, stop := s.sock, s.stop
	if s.closing || sock == nil {
		s.closing = true
		s.mu.Unlock()
		return nil
	}
	s.closing = true
	s.mu.Unlock()
	err := sock.conn.SetReadDeadline(time.Unix(1, 0))
	if stop != nil {
		<-s.read
		err = errors.Join(err, s.drain(ctx))
		stop()
		s.work.Wait()
	}
	s.Flush()
	return errors.Join(err, sock.conn.Close())
}

// drain waits until nothing is owed an answer.
func (s *Server) drain(ctx context.Context) error {
	if err := s.pool.drain(ctx); err != nil {
		return fmt.Errorf("coap: %d requests are left without an answer: %w", s.pool.owed.Load(), err)
	}
	return nil
}

// Flush sends the answers that Complete has gathered. The store calls it once
// after each sweep of completions; it never blocks on a peer.
func (s *Server) Flush() {
	s.outMu.Lock()
	defer s.outMu.Unlock()
	if s.out != nil {
		s.out.flush()
	}
}

// nextMID is a message id for a message of ours. One count serves all peers: a
// peer sees one twice within its lifetime only if 65,536 went out in between.
func (s *Server) nextMID() uint16 { return uint16(s.mid.Add(1)) }

// maxReadErrors is how many errors in a row reading goes on after: an ICMP
// answer or a moment without memory is one, a lost socket is all.
const maxReadErrors = 100

// run is the read loop.
func (f *front) run(ctx context.Context) error {
	failures := 0
	for {
		batch, err := f.in.read()
		switch {
		case err == nil:
			failures = 0
			f.handleAll(ctx, batch)
		case errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed):
			return nil
		default:
			f.s.counts.readErrors.Add(1)
			if failures++; failures > maxReadErrors {
				return fmt.Errorf("coap: cannot read from %s: %w", f.s.cfg.Address, err)
			}
		}
	}
}
