package http

import "github.com/weirgate/weir/transports"

// receipt is where the store says how a message ended. Its channel holds the
// one completion, so that the store never waits for the request.
type receipt struct{ done chan error }

// Complete is called once by the store.
func (r *receipt) Complete(_ uint64, err error) { r.done <- err }

// await waits for the store, also when the client has gone: it may only have
// ended its sending side, and the store answers within its own bound. When the
// Server is stopped first, the receipt may still be completed: it is left to
// the store and not used again.
func (s *Server) await(rec *receipt) transports.Refusal {
	select {
	case err := <-rec.done:
		s.receipts.Put(rec)
		return s.cfg.Gate.Fault(err)
	case <-s.stopped:
		return transports.Refusal{Kind: transports.ShuttingDown}
	}
}
