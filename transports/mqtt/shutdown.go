package mqtt

import (
	"context"
	"fmt"
	"sync"

	"github.com/weirgate/weir/transports"
)

// Shutdown stops accepting, reads nothing more, and ends each connection when
// all it is owed is acknowledged and its questions are answered: MQTT 5 with
// DISCONNECT 0x8B. When ctx ends, the others end as well, their questions are
// dropped and counted, and Shutdown returns ctx's error. The store must go on
// completing, and calling Flush, meanwhile. It may be called again.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stopAccepting()
	for _, c := range s.connections() {
		c.leave()
	}
	done := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = fmt.Errorf("mqtt: clients are still owed acknowledgements or answers: %w", ctx.Err())
		for _, c := range s.connections() {
			_ = c.end(goodbye())
		}
		<-done // each takes lastWord at most
	}
	s.questions.Wait() // whose connections have ended: they were given up
	s.stopMochi.Do(func() { _ = s.mochi.Close() })
	return err
}

// goodbye is how this gateway leaves a client.
func goodbye() ending {
	r := transports.Refusal{Kind: transports.ShuttingDown}
	return ending{transports.AnswerTo(&r).MQTT5.Other.Code, explain(&r), r.Kind.Title()}
}

func (s *Server) stopAccepting() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	close(s.quit)
	_ = s.cfg.Listener.Close()
}

// connections are all connections, those without a session included.
func (s *Server) connections() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	cs := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		cs = append(cs, c)
	}
	return cs
}

// Recheck ends the sessions whose host is denied by now (DISCONNECT 0x98) or
// whose device is not known any more (0x87). Call it when lists or devices have
// changed. It does not wait for them to end.
func (s *Server) Recheck() {
	for _, c := range s.sessions.live() {
		switch {
		case s.cfg.Gate.Denied(c.host):
			r := s.cfg.Gate.Deny()
			_ = c.refuse(&r)
		case !s.cfg.Known(c.device):
			_ = c.refuse(&transports.Refusal{Kind: transports.BadCredentials})
		}
	}
}

// Flush writes the acknowledgements gathered since it was last called, one
// write a connection, and waits for no socket. The store calls it after each
// sweep of completions.
func (s *Server) Flush() {
	for _, c := range s.dirty.take() {
		c.mu.Lock()
		c.dirty = false
		if !c.dead { // else its own goroutine is about to
			c.flush()
		}
		c.mu.Unlock()
	}
}

// dirtyList are the connections with acknowledgements to write. Each is on it
// once, so that the number of connections bounds it.
type dirtyList struct {
	mu sync.Mutex
	cs []*conn
}

func (d *dirtyList) add(c *conn) {
	d.mu.Lock()
	d.cs = append(d.cs, c)
	d.mu.Unlock()
}

func (d *dirtyList) take() []*conn {
	d.mu.Lock()
	defer d.mu.Unlock()
	cs := d.cs
	d.cs = nil
	return cs
}
