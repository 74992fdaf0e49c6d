package coap

import (
	"context"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
)

// Complete answers the request of a tag, which the store has confirmed or, with
// an error, not. It implements transports.Completer: it never blocks, may be
// called within Submit, and answers a tag once. The answer goes out with the
// next Flush.
func (s *Server) Complete(tag uint64, err error) {
	answer := created()
	if err != nil {
		r := s.cfg.Gate.Fault(err)
		answer = refusal(&r)
	}
	s.finish(tag, &answer)
}

// finish says r to the exchange of a tag, in its own manner: in the ACK, as a
// NON, or, after an empty ACK, as a CON of its own.
func (s *Server) finish(tag uint64, r *response) {
	e, ok := s.pool.end(tag)
	if !ok {
		return
	}
	defer s.pool.paid()
	if r.code>>5 == 2 {
		r.block1 = e.block1
	}
	if e.phase == separated {
		s.separate(tag, &e, r)
		return
	}
	s.remember(&e, byte(r.code), ageOf(r.maxAge))
	s.outMu.Lock()
	defer s.outMu.Unlock()
	s.out.say(e.answerTo(), r, &e.remote, e.local)
}

// separate sends a separate response (RFC 7252 5.2.2), again and again until its
// peer acknowledges it.
func (s *Server) separate(tag uint64, e *exchange, r *response) {
	s.counts.separate.Add(1)
	e.kind, e.mid = message.Confirmable, s.nextMID()
	e.code, e.maxAge = byte(r.code), ageOf(r.maxAge)
	e.packet = packetOf(e.answerTo(), r)
	s.pool.deliver(tag, e, s.cfg.Now())
	s.outMu.Lock()
	defer s.outMu.Unlock()
	s.out.postLong(e.packet, &e.remote, e.local)
}

// remember has a retransmission of an ended exchange's request get the same
// answer; content alone is not kept, and asked for again.
func (s *Server) remember(e *exchange, code byte, maxAge uint8) {
	s.seen.become(e.hash, answered, code, maxAge)
}

// settle ends the separate response that a peer acknowledged (or, with a RST,
// does not want); any other ACK or RST is ignored.
func (s *Server) settle(t transmission) {
	e, ok := s.pool.settle(t)
	if !ok {
		s.counts.ignored.Add(1)
		return
	}
	s.remember(&e, e.code, e.maxAge)
}

// keepTime sends what is due, every tick until ctx ends.
func (s *Server) keepTime(ctx context.Context, sock *socket) {
	out := newSender(sock, &s.counts.dropped)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.sendDue(out, s.cfg.Now())
		}
	}
}

// sendDue sends the empty ACKs and retransmissions that are due at now.
func (s *Server) sendDue(out *sender, now time.Time) {
	for {
		e, ok := s.pool.next(now)
		switch {
		case !ok:
			out.flush()
			return
		case e.phase == separated:
			s.counts.emptyAcks.Add(1)
			s.seen.become(e.hash, acked, 0, 0)
			out.sayEmpty(envelope{kind: message.Acknowledgement, mid: e.mid}, &e.remote, e.local)
		case e.tries > maxRetransmit:
			s.counts.abandoned.Add(1)
			s.remember(&e, e.code, e.maxAge)
		default:
			s.counts.retransmitted.Add(1)
			out.postLong(e.packet, &e.remote, e.local)
		}
	}
}
