package coap

import (
	"context"
	"net/netip"
)

// Tick sends what is due now, as the timer does once a tick.
func (s *Server) Tick() { s.sendDue(newSender(s.sock, &s.counts.dropped), s.cfg.Now()) }

// Handler is the read loop's handling, apart from reading: a batch of one
// datagram from a peer, whose answers are sent before it returns, a question's too.
func (s *Server) Handler() func(ctx context.Context, from netip.AddrPort, packet []byte) {
	f := newFront(s, s.sock)
	frame := make([]byte, frameLen)
	batch := make([]datagram, 1)
	return func(ctx context.Context, from netip.AddrPort, packet []byte) {
		n := copy(frame[endpointLen:], packet)
		batch[0] = datagram{
			remote: endpoint{ip: from.Addr().As16(), port: from.Port()},
			frame:  frame[:endpointLen+n],
		}
		f.handleAll(ctx, batch)
		s.work.Wait() // without Serve there is no timer: the questions alone
	}
}

// MaxDatagram and MaxQuestions are bounds that tests go up to.
const (
	MaxDatagram  = maxDatagram
	MaxQuestions = maxQuestions
)
