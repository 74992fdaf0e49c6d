package coap

import "sync/atomic"

// counter is one figure of the statistics.
type counter = atomic.Uint64

// counters are what Stats is read from.
type counters struct {
	datagrams, ignored, resets, requests, repeats, refused, failed, busy counter
	emptyAcks, separate, retransmitted, abandoned, dropped, readErrors   counter
	panics                                                               counter
}

// Stats counts since the start; Pending is a gauge.
type Stats struct {
	Datagrams     uint64 // read from the socket
	Ignored       uint64 // neither requests nor what an exchange awaits: garbage, unsolicited ACK, RST and responses; and repeats of a request past the eighth
	Resets        uint64 // RST sent: pings answered, CON of bad format rejected
	Requests      uint64 // well-formed requests that were no repeats
	Repeats       uint64 // retransmissions recognised and served, by an answer or by silence, charged to nobody
	Refused       uint64 // requests refused by quota or list, for which nothing was kept
	Failed        uint64 // admitted requests answered with an error at once
	Busy          uint64 // of Failed: MaxPending or the bound of questions was reached
	EmptyAcks     uint64 // sent because the store was slower than a second
	Separate      uint64 // separate responses sent
	Retransmitted uint64 // separate responses sent again
	Abandoned     uint64 // separate responses that their peer never acknowledged
	Dropped       uint64 // datagrams that the socket did not take
	ReadErrors    uint64 // errors of the socket that reading went on after
	Panics        uint64 // contained: each cost the datagram that brought it about, and no other
	Pending       int    // exchanges held: awaiting the store, or an acknowledgement
}

// Stats is the figures now. It may be called at any time.
func (s *Server) Stats() Stats {
	c := &s.counts
	return Stats{
		Datagrams: c.datagrams.Load(), Ignored: c.ignored.Load(), Resets: c.resets.Load(),
		Requests: c.requests.Load(), Repeats: c.repeats.Load(), Refused: c.refused.Load(),
		Failed: c.failed.Load(), Busy: c.busy.Load(), EmptyAcks: c.emptyAcks.Load(),
		Separate: c.separate.Load(), Retransmitted: c.retransmitted.Load(), Abandoned: c.abandoned.Load(),
		Dropped: c.dropped.Load(), ReadErrors: c.readErrors.Load(), Panics: c.panics.Load(), Pending: s.pool.inUse(),
	}
}
