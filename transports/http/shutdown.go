package http

import (
	"context"
	"fmt"
	"net"
	nethttp "net/http"
	"sync"
	"time"
)

const (
	// lateBody is how long after the begin of Shutdown a body may still arrive.
	lateBody = time.Second
	// lastWord is how long clients have to take the refusals that the end of
	// Shutdown's context leads to.
	lastWord = 500 * time.Millisecond
)

// What a connection has in hand, as Shutdown sees it.
const (
	nothing   uint32 = iota // it is new or idle, or a head is on its way
	receiving               // the body of an admitted request
	answering               // an admitted request, until its answer is written
	cut                     // Shutdown closes it, and its next request is not heard
)

// Shutdown stops accepting, closes the connections that have no admitted
// request in hand, and returns when the others' requests are answered: those
// whose body does not arrive within a second with 503. When ctx ends first,
// those that still wait are refused with 503, all connections are closed half a
// second later, and the error is ctx's. It may be called again.
func (s *Server) Shutdown(ctx context.Context) error {
	s.leave()
	err := s.conns.drained(ctx)
	s.stop()
	if err == nil {
		return nil
	}
	if s.drainedWithin(lastWord) != nil {
		_ = s.http.Close() // of sockets that are of no use any more
		_ = s.drainedWithin(lastWord)
	}
	return fmt.Errorf("http: requests in hand were refused or cut off: %w", err)
}

func (s *Server) drainedWithin(d time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return s.conns.drained(ctx)
}

// leave ends everything but the requests in hand.
func (s *Server) leave() {
	// That its context has ended makes net/http stop accepting and return at
	// once: it would take a client that says nothing for one with a request.
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	_ = s.http.Shutdown(ended)
	_ = s.cfg.Listener.Close() // net/http knows it only once Serve has begun
	s.leaving.Store(true)
	for _, c := range s.conns.all() {
		if c.hand.CompareAndSwap(nothing, cut) {
			_ = c.Close()
		} else if c.hand.Load() == receiving {
			c.hurry()
		}
	}
}

// expectBody says that the body is read now. It and leave each write before
// they read, so that one of them sees the other.
func (c *conn) expectBody() {
	c.hand.Store(receiving)
	if c.s.leaving.Load() {
		c.hurry()
	}
}

// hurry gives the body lateBody to arrive.
func (c *conn) hurry() { _ = c.SetReadDeadline(time.Now().Add(lateBody)) }

// gaveUp tells whether requests are waited for no more.
func (s *Server) gaveUp() bool {
	select {
	case <-s.stopped:
		return true
	default:
		return false
	}
}

// follow is told by net/http what becomes of a connection. Idle it is only when
// its answer has been written.
func (s *Server) follow(nc net.Conn, state nethttp.ConnState) {
	c, ok := nc.(*conn)
	if !ok {
		return
	}
	switch state {
	case nethttp.StateNew:
		s.conns.add(c)
	case nethttp.StateIdle:
		c.hand.CompareAndSwap(answering, nothing)
	case nethttp.StateClosed:
		s.conns.remove(c)
	}
}

// connSet is the open connections; the Listener bounds it.
type connSet struct {
	mu      sync.Mutex // guards what follows
	open    map[*conn]struct{}
	removed chan struct{} // holds one when some were removed since drained looked
}

func (cs *connSet) init() {
	cs.open, cs.removed = make(map[*conn]struct{}), make(chan struct{}, 1)
}

func (cs *connSet) add(c *conn) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.open[c] = struct{}{}
}

func (cs *connSet) remove(c *conn) {
	cs.mu.Lock()
	delete(cs.open, c)
	cs.mu.Unlock()
	cs.wake()
}

// wake wakes one that waits in drained; it wakes the next.
func (cs *connSet) wake() {
	select {
	case cs.removed <- struct{}{}:
	default:
	}
}

func (cs *connSet) len() int {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return len(cs.open)
}

func (cs *connSet) all() []*conn {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	all := make([]*conn, 0, len(cs.open))
	for c := range cs.open {
		all = append(all, c)
	}
	return all
}

// drained waits until none is left; else its error is ctx's. No connection may
// be added any more.
func (cs *connSet) drained(ctx context.Context) error {
	for cs.len() > 0 {
		select {
		case <-cs.removed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	cs.wake()
	return nil
}
