package quota

import (
	"cmp"
	"slices"
	"time"
)

// Entry is what was counted of one key since the last report.
type Entry struct {
	Key      Key
	Requests uint64 // refused included; a key's count stops at 2^32-1 a report
	Refused  uint64
	Origins  Origin
	LastSeen time.Time
	Exceeded bool // it is being refused now
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
	v := h.survey(n, h.departed.take(), (*segment).startInterval)
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
	v := h.survey(n, h.departed.snapshot(), func(*segment) {})
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
		s, tag := h.table.locate(t.key)
		s.mu.Lock()
		if e := s.find(t.key, tag); e != nil {
			if t, ok := h.departed.remove(t.key); ok {
				e.add(t.requests, t.refused, t.origins)
				s.gone -= min(s.gone, 1)
			}
		}
		s.mu.Unlock()
	}
}

// survey is a Report in the making.
type survey struct {
	Report
	now    int64
	policy *Policy
	n      int
	sorted bool    // the first n of Top are its n busiest, or were when it was cut
	buf    []Entry // of the segment at hand
}

// survey walks the table a segment at a time, calling after with each while it
// is still locked.
func (h *Hosts) survey(n int, gone []tally, after func(*segment)) *survey {
	to := h.clock.Now()
	v := &survey{
		Report: Report{To: to}, now: to.UnixMilli(), policy: h.Policy(), n: min(max(n, 0), MaxMaxHosts),
	}
	for _, t := range gone {
		v.Top = append(v.Top, Entry{
			Key: t.key, Requests: t.requests, Refused: t.refused, Origins: t.origins, LastSeen: moment(t.last),
		})
	}
	for i := range h.table.segments {
		s := &h.table.segments[i]
		s.mu.Lock()
		v.read(s)
		after(s)
		s.mu.Unlock()
		v.rank()
	}
	v.cut()
	return v
}

// read adds the sums of s and copies its entries, which rank sorts in once the
// lock is off.
func (v *survey) read(s *segment) {
	v.Requests += s.requests
	v.Refused += s.refused
	v.Hosts += s.gone
	v.buf = v.buf[:0]
	for i := range s.slots {
		if e := &s.slots[i]; e.requests > 0 {
			v.buf = append(v.buf, e.entry(v.now, v.policy))
		}
	}
}

// rank adds the entries read to the top, which is cut whenever it holds n more
// than it needs, so that sorting is rare.
func (v *survey) rank() {
	v.Hosts += uint64(len(v.buf))
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

// startInterval starts a new interval of the report.
func (s *segment) startInterval() {
	s.requests, s.refused, s.gone = 0, 0, 0
	for i := range s.slots {
		s.slots[i].forget()
	}
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
	s, tag := h.table.locate(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	var st Status
	sp := s.spells[k]
	if sp != nil {
		st.InSpell, st.Since = true, moment(sp.since)
	}
	e := s.find(k, tag)
	if e == nil {
		st.Key = k
		return st, sp != nil
	}
	st.Entry = e.entry(now, policy)
	if policy != nil {
		st.Own, st.Unverified = e.outlook(own, now, policy), e.outlook(unverified, now, policy)
	}
	return st, true
}

// outlook is what Peek would say of window b, without counting.
func (e *slot) outlook(b budget, now int64, p *Policy) Decision {
	w := e.window(b).at(now, p.millis())
	w.refusing = w.used >= p.Quota
	return w.decision(now, p)
}
