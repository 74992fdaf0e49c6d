package quota

// Request is one request of a batch.
type Request struct {
	Key    Key
	Origin Origin
	// Unverified has it checked as CheckUnverified does; false: as Check does.
	Unverified bool
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
	var tags [batchAhead]uint64
	for len(requests) > 0 {
		n := min(len(requests), batchAhead)
		h.fetch(requests[:n], &tags)
		for i := range n {
			q := &requests[i]
			d, ok := h.hit(st, tags[i], now, q.Origin)
			if !ok {
				d = h.check(h.request(st, q.Key, tags[i], now, q.Origin))
			}
			out[i] = d
		}
		requests, out = requests[n:], out[n:]
	}
}

// fetch computes the tags of requests and starts to fetch their buckets, so that
// the memory is waited for once for them all.
func (h *Hosts) fetch(requests []Request, tags *[batchAhead]uint64) {
	for i := range requests {
		q := &requests[i]
		b := own
		if q.Unverified {
			b = unverified
		}
		tags[i] = h.table.tagOf(q.Key, b)
		h.table.fetch(tags[i])
	}
}
