package mqtt

import "sync/atomic"

// counters count since the start.
type counters struct {
	qos       [3]atomic.Uint64
	malformed atomic.Uint64
	panics    atomic.Uint64
	dropped   atomic.Uint64
}

// Stats are figures for metrics. All but the first two count since the start.
type Stats struct {
	Connections int       // clients connected now
	Sessions    int       // sessions kept for clients that are away
	Messages    [3]uint64 // PUBLISH packets by QoS, refused ones included
	Malformed   uint64    // connections ended because they broke the protocol
	Panics      uint64    // panics contained, each at the cost of its connection
	Dropped     uint64    // QoS 0 messages not taken, and questions not answered, for whatever reason
}

// Stats is how the server does. It is safe for concurrent use.
func (s *Server) Stats() Stats {
	live, offline := s.sessions.count()
	st := Stats{
		Connections: live, Sessions: offline,
		Malformed: s.counts.malformed.Load(), Panics: s.counts.panics.Load(), Dropped: s.counts.dropped.Load(),
	}
	for i := range st.Messages {
		st.Messages[i] = s.counts.qos[i].Load()
	}
	return st
}
