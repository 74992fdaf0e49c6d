package coap

import (
	"context"
	"net/netip"

	"github.com/weirgate/weir/transports"
)

// Tick sends what is due now, as the timer does once a tick.
func (s *Server) Tick() { s.sendDue(newSender(s.sock, &s.counts.dropped), s.cfg.Now()) }

// Handler is the read loop's handling, apart from reading: a batch of datagrams
// from a peer, whose answers are sent before it returns, a question's too.
func (s *Server) Handler() func(ctx context.Context, from netip.AddrPort, packets ...[]byte) {
	f := newFront(s, s.sock)
	var frames [readBatch][frameLen]byte
	var batch [readBatch]datagram
	return func(ctx context.Context, from netip.AddrPort, packets ...[]byte) {
		for i, packet := range packets {
			n := copy(frames[i][endpointLen:], packet)
			batch[i] = datagram{
				remote: endpoint{ip: from.Addr().As16(), port: from.Port()},
				frame:  frames[i][:endpointLen+n],
			}
		}
		f.handleAll(ctx, batch[:len(packets)])
		s.work.Wait() // without Serve there is no timer: the questions alone
	}
}

// MaxDatagram, MaxQuestions, MaxAsking and MaxRepeats are bounds that tests go up to.
const (
	MaxRepeats   = maxRepeats
	MaxDatagram  = maxDatagram
	MaxQuestions = maxQuestions
	MaxAsking    = transports.MaxAsking
)
