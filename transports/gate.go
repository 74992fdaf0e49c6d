package transports

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/weirgate/weir/devices"
	"github.com/weirgate/weir/hostlist"
	"github.com/weirgate/weir/quota"
)

// Lists says what the operator's lists hold of a canonical address. It takes
// no lock and never blocks.
type Lists interface {
	Verdict(addr netip.Addr) hostlist.Verdict
}

// HostQuota is the host quota. All methods are safe for concurrent use and
// never block.
type HostQuota interface {
	// Check charges one request to k's window, or refuses it.
	Check(k quota.Key, o quota.Origin) quota.Decision
	// Peek says what Check would, and charges nothing; a refusal is counted
	// in the report like Check's.
	Peek(k quota.Key, o quota.Origin) quota.Decision
	// CheckUnverified is Check on a second window of the same size, for
	// datagrams whose source nothing vouches for.
	CheckUnverified(k quota.Key, o quota.Origin) quota.Decision
	// Discard counts a request of a denied host in the report.
	Discard(k quota.Key, o quota.Origin)
	// Policy is the policy in force; nil while the host quota is off.
	Policy() *quota.Policy
}

// Directory says whose a token is.
type Directory interface {
	// ByToken is the device of a token: devices.ErrUnknown, devices.ErrName
	// or devices.ErrFull if there is none.
	ByToken(token string) (*devices.Device, error)
}

// Completer is told once, for each accepted Submit or Bury, how it ended: nil
// means stored. It is called from the store's own goroutine or from within
// Submit, must not block, and must not call the store.
type Completer interface {
	Complete(tag uint64, err error)
}

// Store is the durable way up.
type Store interface {
	// Submit puts m on its way and copies what it keeps of it. nil: c will be
	// called once with tag; else c will not be called, and GateConfig.Classify
	// says what the error means.
	Submit(m *Message, c Completer, tag uint64) error
	// Bury keeps a message that could not be taken, with the reason.
	Bury(m *Message, reason string, c Completer, tag uint64) error
}

// Caller asks a device's question of whatever service answers on NATS.
type Caller interface {
	// Call blocks until the answer, ctx's end or an error that
	// GateConfig.Classify knows.
	Call(ctx context.Context, d *devices.Device, name string, question []byte) ([]byte, error)
}

// CallTimeout is how long a service has to answer a device (contract section 3).
const CallTimeout = 3 * time.Second

// GateConfig is what a Gate is made of. Every field is required, but for
// Policies, of which nil has none, and IPv6Prefix, whose 0 is 64.
type GateConfig struct {
	Lists      Lists
	Quota      HostQuota
	Policies   Policies
	Directory  Directory
	Store      Store
	Caller     Caller
	Now        func() time.Time
	IPv6Prefix int
	// DeniedProfile is the profile by which denied hosts are answered.
	DeniedProfile func() quota.Profile
	// Classify is the kind of refusal that an error of Store or Caller, or of
	// a completion, means.
	Classify func(error) RefusalKind
}

// Gate is the only code that orders an admission: list verdict, host quota,
// identity, further policies, store. It is safe for concurrent use.
type Gate struct {
	cfg    GateConfig
	counts counters
}

// NewGate makes a Gate.
func NewGate(cfg *GateConfig) *Gate {
	g := &Gate{cfg: *cfg}
	if g.cfg.IPv6Prefix == 0 {
		g.cfg.IPv6Prefix = quota.MaxIPv6Prefix
	}
	return g
}

// Host is the host of a remote address. Call it once a connection.
func (g *Gate) Host(addr netip.Addr) Host { return NewHost(addr, g.cfg.IPv6Prefix) }

// Admission is the outcome of a request's admission.
type Admission struct {
	// Decision is the host quota's, for the RateLimit fields; its Policy is
	// nil where the host is not counted.
	Decision quota.Decision
	Refusal  Refusal
}

// Admit charges one request of h, before anything else is known of it: list
// verdict, then host quota.
func (g *Gate) Admit(t Transport, h Host) Admission {
	switch g.verdict(h) {
	case hostlist.Allowed:
		g.counts.add(t, welcome(h))
		return Admission{}
	case hostlist.Denied:
		return g.deny(t, h)
	}
	return g.decide(t, g.cfg.Quota.Check(h.Key, t.Origin()))
}

// Denied tells whether h is on the black list now, charging and counting nothing:
// for a listener that turns a host away before its first request, and for a
// session whose host has been denied since.
func (g *Gate) Denied(h Host) bool { return g.verdict(h) == hostlist.Denied }

// welcome is how a request that no quota is asked about is counted.
func welcome(h Host) verdict {
	if h.Addr.IsValid() {
		return admitted
	}
	return uncounted
}

// verdict is what the lists say of h; a Host that is nobody's is not counted.
func (g *Gate) verdict(h Host) hostlist.Verdict {
	if !h.Addr.IsValid() {
		return hostlist.Allowed
	}
	return g.cfg.Lists.Verdict(h.Addr)
}

// Deny is the Refusal of a denied host.
func (g *Gate) Deny() Refusal {
	return Refusal{Kind: HostDenied, Profile: g.cfg.DeniedProfile(), Policy: quota.HostPolicyName}
}

// AdmitDatagram is Admit and Identify for a request whose source address
// nothing vouches for (UDP): a good token spends the host's budget, any other
// datagram spends a second window of the same size, so that forged ones cannot
// spend a victim's. token is "" for a request that carries none; the Device is
// then nil and nothing is refused for want of one.
func (g *Gate) AdmitDatagram(t Transport, h Host, token string) (*devices.Device, Admission) {
	verdict := g.verdict(h)
	if verdict == hostlist.Denied {
		return nil, g.deny(t, h)
	}
	counted := verdict == hostlist.Neutral
	if counted {
		if d := g.cfg.Quota.Peek(h.Key, t.Origin()); d.Refused {
			return nil, g.decide(t, d)
		}
	}
	dev, r := g.Identify(token)
	if !counted {
		g.counts.add(t, welcome(h))
		return dev, Admission{Refusal: r}
	}
	check := g.cfg.Quota.Check
	if dev == nil {
		check = g.cfg.Quota.CheckUnverified
	}
	a := g.decide(t, check(h.Key, t.Origin()))
	if !a.Refusal.Refused() {
		a.Refusal = r
	}
	return dev, a
}

// Identify is the device of a token. No token is nobody's, and no refusal:
// the caller knows whether one was needed.
func (g *Gate) Identify(token string) (*devices.Device, Refusal) {
	if token == "" {
		return nil, Refusal{}
	}
	dev, err := g.cfg.Directory.ByToken(token)
	switch {
	case err == nil:
		return dev, Refusal{}
	case errors.Is(err, devices.ErrFull):
		return nil, Refusal{Kind: DirectoryFull}
	case errors.Is(err, devices.ErrName):
		return nil, Refusal{Kind: NameTooLong, Detail: "a token has 1 to 512 bytes of UTF-8 without control characters"}
	case errors.Is(err, devices.ErrUnknown):
		return nil, Refusal{Kind: BadCredentials}
	}
	return nil, Refusal{Kind: Internal, Err: err}
}

// Submit checks m's payload and sends it up. A zero Refusal promises that c
// will be called once with tag; otherwise c will not be called.
func (g *Gate) Submit(m *Message, c Completer, tag uint64) Refusal {
	if problem := badPayload(m.Kind, m.Payload); problem != "" {
		return Refusal{Kind: BadPayload, Detail: problem}
	}
	m.Received = g.cfg.Now()
	return g.Fault(g.cfg.Store.Submit(m, c, tag))
}

// Bury keeps a message that cannot be taken and whose sender cannot be told
// (MQTT 3.1.1), with the reason. It promises as Submit does.
func (g *Gate) Bury(m *Message, why *Refusal, c Completer, tag uint64) Refusal {
	m.Received = g.cfg.Now()
	return g.Fault(g.cfg.Store.Bury(m, why.Reason(), c, tag))
}

// Call asks a device's question, within CallTimeout and ctx.
func (g *Gate) Call(ctx context.Context, d *devices.Device, name string, question []byte) ([]byte, Refusal) {
	ctx, cancel := context.WithTimeout(ctx, CallTimeout)
	defer cancel()
	answer, err := g.cfg.Caller.Call(ctx, d, name, question)
	return answer, g.Fault(err)
}

// storeWait is the wait told when the store is away: the store's own bound
// (10 s) is over by then or the store is back.
const storeWait = 10

// Fault is the Refusal of an error that Store, Caller or a completion gave; a
// nil error is no refusal.
func (g *Gate) Fault(err error) Refusal {
	if err == nil {
		return Refusal{}
	}
	r := Refusal{Kind: g.cfg.Classify(err), Err: err}
	if r.Kind == StoreAway {
		r.Wait = spread(storeWait)
	}
	return r
}

func (g *Gate) deny(t Transport, h Host) Admission {
	g.cfg.Quota.Discard(h.Key, t.Origin())
	g.counts.add(t, denied)
	return Admission{Refusal: g.Deny()}
}

func (g *Gate) decide(t Transport, d quota.Decision) Admission {
	if !d.Refused {
		g.counts.add(t, admitted)
		return Admission{Decision: d}
	}
	g.counts.add(t, refused)
	return Admission{Decision: d, Refusal: overQuota(d)}
}
