package quota

import (
	"cmp"
	"math"
	"slices"
	"time"
	"unsafe"
)

// Entry is what was counted of one key since the last report.
type Entry struct {
	Key      Key
	Requests uint64 // refused included; a key's count stops at some 2^31 a report
	Refused  uint64
	Origins  Origin
	LastSeen time.Time // early by up to a fifteenth of the window
	Exceeded bool      // it is being refused now
}

// Report is what was counted in a time.
type Report struct {
	From, To time.Time // From is the last report's To; never after To
	// Hosts is how many keys asked. One that was forgotten and came back is
	// counted twice if it was not among the 256 busiest of the forgotten.
	Hosts    uint64
	Requests uint64 // refused included; exact, whatever was forgotten
	Refused  uint64
	Top      []Entry // most requests first, then most refused, then by key
}

// Report is what was counted since the last Report (or NewHosts), with the n
// busiest keys, forgotten ones included; its counters start anew.
func (h *Hosts) Report(n int) Report {
	h.reportMu.Lock()
	defer h.reportMu.Unlock()
	h.reunite()
	v := h.survey(n, h.departed.take(), next)
	if h.reported.After(v.To) { // the clock was set back
		h.reported = v.To
	}
	v.From, h.reported = h.reported, v.To
	return v.Report
}

// Top is Report so far: no counter starts anew.
func (h *Hosts) Top(n int) Report {
	h.reportMu.Lock()
	defer h.reportMu.Unlock()
	h.reunite()
	v := h.survey(n, h.departed.snapshot(), same)
	v.From = h.reported
	if v.From.After(v.To) {
		v.From = v.To
	}
	return v.Report
}

// reunite gives the tallies of keys that came back to their new slots, so that
// a key is told of once.
func (h *Hosts) reunite() {
	for _, t := range h.departed.snapshot() {
		tag := h.table.tagOf(t.key, own)
		c := cursor{h.table, h.table.segment(tag)}
		c.segment.mu.Lock()
		e := c.find(tag)
		if !e.ok() {
			e = c.twin(tag)
		}
		if e.ok() {
			if t, ok := h.departed.remove(t.key); ok {
				c.give(e, &t)
				c.keep(-t.requests, -t.refused)
				c.gone -= min(c.gone, 1)
			}
		}
		c.segment.mu.Unlock()
	}
}

// survey is a Report in the making.
type survey struct {
	Report
	now    int64
	policy *Policy
	n      int
	sorted bool    // the first n of Top are its n busiest, or were when it was cut
	least  uint64  // requests of one that may be among them
	buf    []Entry // of the segment at hand
	interval
}

// interval is what becomes of the counters that were read.
type interval uint8

const (
	same interval = iota // they go on
	next                 // they start anew
)

// survey walks the table a segment at a time, starting each anew, if asked to,
// while it is still locked.
func (h *Hosts) survey(n int, gone []tally, interval interval) *survey {
	to := h.clock.Now()
	v := &survey{
		Report: Report{To: to}, now: to.UnixMilli(), policy: h.Policy(), n: min(max(n, 0), MaxMaxHosts),
		interval: interval,
	}
	for _, t := range gone {
		v.Top = append(v.Top, Entry{
			Key: t.key, Requests: t.requests, Refused: t.refused, Origins: t.origins, LastSeen: moment(t.last),
		})
	}
	for i := range h.table.segments {
		c := cursor{h.table, &h.table.segments[i]}
		c.segment.mu.Lock()
		v.read(c)
		c.segment.mu.Unlock()
		v.rank()
	}
	v.cut()
	return v
}

// read adds the sums of c and copies those of its entries that may be among the
// busiest, which rank sorts in once the lock is off.
func (v *survey) read(c cursor) {
	v.buf = v.buf[:0]
	for p := range c.pages {
		if c.twins == 0 && v.interval == same {
			v.skim(c, p)
			continue
		}
		for i := range pageSlots {
			at := place{uint32(p*pageBuckets + i/bucketSlots), i % bucketSlots}
			if e := c.at(at); e.tag.Load() != 0 {
				v.readSlot(c, e)
			}
		}
	}
	v.Requests += c.books.requests
	v.Refused += c.books.refused
	v.Hosts += c.gone
	if v.interval == next {
		c.books.requests, c.books.refused, c.gone = 0, 0, 0
	}
}

// skim reads page p of c, in which no key has two slots, leaving the counters
// as they are: nearly all are only added up.
func (v *survey) skim(c cursor, p int) {
	at := c.table.page(c.number, uint32(p*pageBuckets))
	hot, cold := &c.memory.hot[at], &c.memory.cold[at]
	var requests, refused, hosts uint64
	ahead := min(at+len(c.segments), len(c.memory.hot)-1)
	if p == c.pages-1 {
		ahead = (c.number + 1) % len(c.segments)
	}
	for b := range hot {
		prefetch(unsafe.Pointer(&c.memory.hot[ahead][b]))
		prefetch(unsafe.Pointer(&c.memory.cold[ahead][b]))
		for i := range hot[b] {
			h, l := &hot[b][i], &cold[b][i]
			n := uint64(l.carried + used(h.state.Load())) // 0 where the slot is free
			if n == 0 {
				continue
			}
			hosts++
			requests += n
			refused += uint64(l.refused)
			if n > v.least || n == v.least && v.ties(c, h.tag.Load(), l.refused) {
				e := slot{h, l}
				v.buf = append(v.buf, c.entry(e, e.counts(), v.now, v.policy))
			}
		}
	}
	v.Requests += requests
	v.Refused += refused
	v.Hosts += hosts
}

// ties tells whether a key with as many requests as the last of the top may be
// before it: most have as few as the last of a flood.
func (v *survey) ties(c cursor, tag uint64, refused uint32) bool {
	if !v.sorted {
		return true
	}
	last := &v.Top[v.n-1]
	if uint64(refused) != last.Refused {
		return uint64(refused) > last.Refused
	}
	k := c.key(tag)
	return k.hi < last.Key.hi || k.hi == last.Key.hi && k.lo < last.Key.lo
}

// readSlot reads e and, with it, its twin.
func (v *survey) readSlot(c cursor, e slot) {
	if c.twins > 0 {
		t := c.twin(e.tag.Load())
		if t.ok() && e.budget() == unverified {
			return // read with its twin
		}
		if t.ok() {
			v.readPair(c, e, t)
			return
		}
	}
	n := v.counts(e)
	if n.requests == 0 {
		return
	}
	v.add(n)
	if uint64(n.requests) >= v.least {
		v.buf = append(v.buf, c.entry(e, n, v.now, v.policy))
	}
}

func (v *survey) readPair(c cursor, e, t slot) {
	n, m := v.counts(e), v.counts(t)
	if n.requests == 0 && m.requests == 0 {
		return
	}
	v.add(n)
	v.add(m)
	v.Hosts-- // of the two
	entry := c.entry(e, n, v.now, v.policy)
	entry.join(c.entry(t, m, v.now, v.policy))
	v.buf = append(v.buf, entry)
}

func (v *survey) counts(e slot) counts {
	n := e.counts()
	if v.interval == next && n.requests > 0 {
		return e.forget()
	}
	return n
}

func (v *survey) add(n counts) {
	v.Requests += uint64(n.requests)
	v.Refused += uint64(n.refused)
	v.Hosts++
}

// entry is e as a report shows it, which counted n.
func (c cursor) entry(e slot, n counts, now int64, p *Policy) Entry {
	return Entry{
		Key: c.key(e.tag.Load()), Requests: uint64(n.requests), Refused: uint64(n.refused),
		Origins: n.origins, LastSeen: moment(n.last),
		Exceeded: p != nil && c.window(e, now).exceeded(now, p),
	}
}

// join adds what the other slot of the same key counted.
func (e *Entry) join(o Entry) {
	e.Requests += o.Requests
	e.Refused += o.Refused
	e.Origins |= o.Origins
	e.Exceeded = e.Exceeded || o.Exceeded
	if o.LastSeen.After(e.LastSeen) {
		e.LastSeen = o.LastSeen
	}
}

// rank adds the entries read to the top, which is cut whenever it holds n more
// than it needs, so that sorting is rare.
func (v *survey) rank() {
	for i := range v.buf {
		if v.sorted && (v.n == 0 || busier(v.Top[v.n-1], v.buf[i]) < 0) {
			continue
		}
		if v.Top = append(v.Top, v.buf[i]); len(v.Top) >= 2*v.n+maxDeparted {
			v.cut()
		}
	}
}

func (v *survey) cut() {
	slices.SortFunc(v.Top, busier)
	v.Top = v.Top[:min(v.n, len(v.Top))]
	v.sorted = len(v.Top) == v.n
	switch {
	case v.sorted && v.n == 0:
		v.least = math.MaxUint64
	case v.sorted:
		v.least = v.Top[v.n-1].Requests
	}
}

// busier orders entries as Report.Top is.
func busier(a, b Entry) int {
	return cmp.Or(
		cmp.Compare(b.Requests, a.Requests),
		cmp.Compare(b.Refused, a.Refused),
		cmp.Compare(a.Key.hi, b.Key.hi),
		cmp.Compare(a.Key.lo, b.Key.lo),
	)
}

// Status is all that is known of one key, to explain why it is refused.
type Status struct {
	Entry
	Own        Decision // what Peek would say; Policy is nil while the quota is off
	Unverified Decision // the same of the window for unverified datagrams
	InSpell    bool     // of exceeding: not yet told recovered
	Since      time.Time
}

// Lookup is what is known of k; false: nothing. It counts nothing.
func (h *Hosts) Lookup(k Key) (Status, bool) {
	now, policy := h.now(), h.Policy()
	tag := h.table.tagOf(k, own)
	c := cursor{h.table, h.table.segment(tag)}
	c.segment.mu.Lock()
	defer c.segment.mu.Unlock()
	st := Status{Entry: Entry{Key: k}}
	sp := c.spells[k]
	if sp != nil {
		st.InSpell, st.Since = true, moment(sp.since)
	}
	e, t := c.find(tag), c.twin(tag)
	if !e.ok() && !t.ok() {
		return st, sp != nil
	}
	for _, e := range [numBudgets]slot{e, t} {
		if e.ok() {
			st.Entry.join(c.entry(e, e.counts(), now, policy))
		}
	}
	if policy != nil {
		st.Own, st.Unverified = c.outlook(e, now, policy), c.outlook(t, now, policy)
	}
	return st, true
}

// outlook is what Peek would say of e, without counting; there may be no e.
func (c cursor) outlook(e slot, now int64, p *Policy) Decision {
	w := window{start: now}
	if e.ok() {
		w = c.window(e, now).at(now, p.millis())
	}
	w.refusing = w.used >= p.Quota
	return w.decision(now, p)
}
