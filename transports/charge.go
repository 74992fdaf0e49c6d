package transports

import (
	"github.com/weirgate/weir/devices"
	"github.com/weirgate/weir/hostlist"
	"github.com/weirgate/weir/quota"
)

// Policies are the policies after identity. All methods are safe for concurrent
// use and never block.
type Policies interface {
	// Charge charges r to every policy that applies to it, or, if it does not
	// fit one of them, to none.
	Charge(r *quota.PolicyRequest, out *quota.Result)
	// Counts tells whether any policy counts at a level.
	Counts(l quota.Level) bool
}

// Ask is what the policies want to know of a request whose device is known.
type Ask struct {
	Transport Transport
	Host      Host
	Device    *devices.Device
	ClientID  string // MQTT's, if the client gave one
	Class     quota.Class
	// Cost is what it counts for in policies of its class; see Messages. 0 is 1.
	Cost int
	// Topic is the MQTT topic that means the same, over any transport; "" if
	// none does.
	Topic   string
	Headers quota.Headers // HTTP's fields; else nil
}

// Charge is one connection's standing with the policies, from request to
// request: what is worked out of its keys is kept. The zero Charge is ready. It
// is not safe for concurrent use.
type Charge struct {
	subject quota.Subject
	device  *devices.Device // whom subject was made of
	request quota.PolicyRequest
	result  quota.Result
	pks     [8]partition // by quota.Level
}

// Limits are where the policies stand after the last request, in their order.
func (c *Charge) Limits() []quota.Standing { return c.result.Limits }

// Reset forgets the last request, so that Limits are none.
func (c *Charge) Reset() { c.result.Reset() }

// ask makes c's request of a; host is the key that it is counted for at level
// host.
func (c *Charge) ask(a *Ask, host quota.Key) {
	s := &c.subject
	if c.device != a.Device || s.Host != host || s.ClientID != a.ClientID {
		c.device = a.Device
		*s = quota.Subject{
			Account: a.Device.Account, Device: a.Device.Name, ClientID: a.ClientID,
			Transport: a.Transport.String(), Host: host, Origin: a.Transport.Origin(),
		}
	}
	c.request = quota.PolicyRequest{
		Subject: s, Class: a.Class, Cost: uint32(max(a.Cost, 0)), Topic: a.Topic, Headers: a.Headers,
	}
}

// Charge charges a request that was admitted and identified to the policies that
// apply to it; c tells where they stand then. One that is refused is charged to
// none of them.
func (g *Gate) Charge(c *Charge, a *Ask) Refusal {
	if g.cfg.Policies == nil {
		c.Reset()
		return Refusal{}
	}
	c.ask(a, g.countedHost(a.Host))
	g.cfg.Policies.Charge(&c.request, &c.result)
	st := c.result.Refusal()
	if st == nil {
		return Refusal{}
	}
	g.counts.add(a.Transport, limited)
	r := overQuota(st.Decision)
	if c.request.Class == st.Policy.Class && a.Cost > 1 {
		r.Cost = c.request.Cost
	}
	return r
}

// countedHost is whom policies of level host count h's requests for: nobody
// where a list allows it, as for the host quota.
func (g *Gate) countedHost(h Host) quota.Key {
	if g.cfg.Policies.Counts(quota.LevelHost) && g.verdict(h) == hostlist.Allowed {
		return quota.Key{}
	}
	return h.Key
}
