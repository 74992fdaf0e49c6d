package quota

// Request is one request of a batch.
type Request struct {
	Key    Key
	Origin Origin
	// Unverified has it checked as CheckUnverified does; false: as Check does.
	Unverified bool
}

func (q *Request) budget() budget {
	if q.Unverified {
		return unverified
	}
	return own
}

// batchAhead is how many slots are fetched before the first of them is charged:
// about as many as a core can wait for at a time.
const batchAhead = 32

// CheckBatch is Check, or CheckUnverified, of each request in turn, and puts
// what it finds into out, which must be as long. The table's memory is waited
// for once in 32 requests, so that in a large table each costs a fraction of a
// Check; the clock is read once. It panics if out is shorter than requests.
func (h *Hosts) CheckBatch(requests []Request, out []Decision) {
	out = out[:len(requests)]
	st, now := h.settings.Load(), h.now()
	var ahead [batchAhead]located
	for len(requests) > 0 {
		n := min(len(requests), batchAhead)
		h.fetch(requests[:n], &ahead)
		for i := range n {
			q, l := &requests[i], ahead[i]
			d, ok := h.hit(st, l, now, q.Origin)
			if !ok {
				d = h.check(h.request(st, q.Key, l.tag, arrival{now, q.Origin}))
			}
			out[i] = d
		}
		requests, out = requests[n:], out[n:]
	}
}

// fetch finds out where the keys of requests lie and starts to fetch that, so
// that the memory is waited for once for them all.
func (h *Hosts) fetch(requests []Request, ahead *[batchAhead]located) {
	for i := range requests {
		q := &requests[i]
		l := h.table.locate(q.Key, q.budget())
		ahead[i%batchAhead] = l
		h.table.fetch(l)
	}
}
