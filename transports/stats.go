package transports

import "sync/atomic"

// verdict is how an admission ended, as the statistics name it.
type verdict uint8

const (
	admitted verdict = iota
	refused
	denied
	uncounted // let in for nobody: see Host
	limited   // admitted, and then refused by a policy after identity

	numVerdicts = iota
)

var verdictNames = [numVerdicts]string{
	admitted: "admitted", refused: "refused", denied: "denied", uncounted: "uncounted", limited: "limited",
}

// counters counts admissions, a cache line a transport.
type counters [numTransports]struct {
	n [numVerdicts]atomic.Uint64
	_ [64 - 8*numVerdicts]byte
}

func (c *counters) add(t Transport, v verdict) { c[t].n[v].Add(1) }

// AdmissionCount is how many requests of a transport ended with a verdict
// since the start: admitted by list and host quota, refused by the host quota,
// denied by a list, uncounted, or limited: admitted, and then refused by another
// policy.
type AdmissionCount struct {
	Transport, Verdict string
	Count              uint64
}

// Stats is every AdmissionCount, those of 0 included.
func (g *Gate) Stats() []AdmissionCount {
	all := make([]AdmissionCount, 0, numTransports*numVerdicts)
	for t := range Transport(numTransports) {
		for v := range verdict(numVerdicts) {
			all = append(all, AdmissionCount{t.String(), verdictNames[v], g.counts[t].n[v].Load()})
		}
	}
	return all
}
