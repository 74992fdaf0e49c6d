package events

import (
	"encoding/json"
	"time"

	"github.com/weirgate/weir/quota"
)

// OffendersData is the data of the offenders event.
type OffendersData struct {
	Node     string     `json:"node"`
	From     time.Time  `json:"from"`
	To       time.Time  `json:"to"`
	Hosts    uint64     `json:"hosts"`
	Requests uint64     `json:"requests"` // refused included
	Refused  uint64     `json:"refused"`
	Rate     float64    `json:"rate"` // requests a second, over the true time of the report
	Top      []Offender `json:"top"`  // most requests first, allowed hosts left out
}

// Offender is one host of a report.
type Offender struct {
	Host       string    `json:"host"` // an address, or the lowest one of an IPv6 prefix
	Requests   uint64    `json:"requests"`
	Refused    uint64    `json:"refused"`
	Rate       float64   `json:"rate"`
	Transports []string  `json:"transports"`
	LastSeen   time.Time `json:"lastSeen"`
	Verdict    string    `json:"verdict"`
}

// spareTop is how many more hosts than the report lists are asked for: allowed
// hosts are counted only until they are allowed, so that no more than these
// stand among the busiest, unless one reload allowed that many.
const spareTop = 1024

// report tells the offenders since the last report, to the log and as an event.
func (e *Events) report() {
	e.reporting.Lock()
	defer e.reporting.Unlock()
	e.mu.Lock()
	topSize := e.topSize
	e.reported = time.Now()
	e.mu.Unlock()
	n := topSize
	if n > 0 {
		n += spareTop
	}
	r := e.cfg.Report(n)
	d := e.offenders(&r, topSize)
	top, err := json.Marshal(d.Top)
	if err != nil {
		e.lost(Offenders, err)
		return
	}
	e.cfg.Log.Info("offenders", "node", d.Node, "from", d.From, "to", d.To, "hosts", d.Hosts,
		"requests", d.Requests, "refused", d.Refused, "rate", d.Rate, "top", json.RawMessage(top))
	e.publish(Offenders, d.To, d)
}

// offenders is what a report says of the hosts that are not allowed.
func (e *Events) offenders(r *quota.Report, topSize int) *OffendersData {
	seconds := r.To.Sub(r.From).Seconds()
	d := &OffendersData{
		Node: e.cfg.Node, From: r.From.UTC(), To: r.To.UTC(), Hosts: r.Hosts,
		Requests: r.Requests, Refused: r.Refused, Rate: rate(r.Requests, seconds), Top: []Offender{},
	}
	for i := range r.Top {
		if len(d.Top) >= topSize {
			break
		}
		h := &r.Top[i]
		verdict := e.cfg.Verdict(h.Key.Addr())
		if verdict == allowed {
			continue
		}
		d.Top = append(d.Top, Offender{
			Host: h.Key.String(), Requests: h.Requests, Refused: h.Refused, Rate: rate(h.Requests, seconds),
			Transports: e.origins(h.Origins), LastSeen: h.LastSeen.UTC(), Verdict: verdict,
		})
	}
	return d
}

// allowed is the verdict of hosts that are not counted, and so not told of.
const allowed = "allowed"

// rate is n a second; 0 over no time.
func rate(n uint64, seconds float64) float64 {
	if seconds <= 0 {
		return 0
	}
	return float64(n) / seconds
}

// origins are the transports of o, never nil.
func (e *Events) origins(o quota.Origin) []string {
	if names := e.cfg.OriginNames(o); names != nil {
		return names
	}
	return []string{}
}
