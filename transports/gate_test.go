package transports_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/devices"
	"github.com/weirgate/weir/hostlist"
	"github.com/weirgate/weir/quota"
	"github.com/weirgate/weir/transports"
)

var errStore = errors.New("store")

// world is everything around a Gate, and a log of what the Gate asked of it.
type world struct {
	verdicts map[netip.Addr]hostlist.Verdict
	hosts    *window // the host windows
	forged   *window // the unverified ones
	discards int
	stored   []transports.Message
	buried   []string
	asked    []string
	storeErr error
	callErr  error
	full     bool          // the directory
	never    *quota.Policy // that no request fits
	sometime bool          // and yet its decisions do not say Never
}

// window is a quota of two requests a key, for ever.
type window struct {
	used map[quota.Key]uint32
}

var policy = &quota.Policy{Name: "host", Quota: 2, Window: time.Minute, Profile: quota.ThingsBoard}

func (w *window) decide(k quota.Key, cost uint32) quota.Decision {
	d := quota.Decision{Policy: policy, Used: w.used[k], Reset: 30*time.Second + time.Millisecond}
	if d.Refused = d.Used+max(cost, 1) > policy.Quota; !d.Refused {
		w.used[k] += cost
		d.Used = w.used[k]
	}
	return d
}

func (w *world) Verdict(a netip.Addr) hostlist.Verdict { return w.verdicts[a] }

func (w *world) Check(k quota.Key, _ quota.Origin) quota.Decision {
	if w.never != nil {
		return quota.Decision{Policy: w.never, Refused: true, Never: !w.sometime, Reset: time.Minute}
	}
	return w.hosts.decide(k, 1)
}

func (w *world) Peek(k quota.Key, _ quota.Origin) quota.Decision { return w.hosts.decide(k, 0) }

func (w *world) CheckUnverified(k quota.Key, _ quota.Origin) quota.Decision {
	return w.forged.decide(k, 1)
}

func (w *world) Discard(quota.Key, quota.Origin) { w.discards++ }

func (w *world) Policy() *quota.Policy { return policy }

func (w *world) ByToken(token string) (*devices.Device, error) {
	switch {
	case token == "odd":
		return nil, errors.New("secret detail")
	case len(token) > devices.MaxName:
		return nil, devices.ErrName
	case w.full:
		return nil, devices.ErrFull
	case token != "good":
		return nil, devices.ErrUnknown
	}
	return &devices.Device{Account: "acme", Name: "pump"}, nil
}

func (w *world) Submit(m *transports.Message, c transports.Completer, tag uint64) error {
	if w.storeErr != nil {
		return w.storeErr
	}
	w.stored = append(w.stored, *m)
	c.Complete(tag, nil)
	return nil
}

func (w *world) Bury(_ *transports.Message, reason string, c transports.Completer, tag uint64) error {
	w.buried = append(w.buried, reason)
	c.Complete(tag, nil)
	return nil
}

func (w *world) Call(ctx context.Context, d *devices.Device, name string, q []byte) ([]byte, error) {
	if _, bounded := ctx.Deadline(); !bounded {
		return nil, errors.New("unbounded")
	}
	w.asked = append(w.asked, d.Account+" "+d.Name+" "+name+" "+string(q))
	return []byte(`{"client":{}}`), w.callErr
}

type completions []uint64

func (c *completions) Complete(tag uint64, _ error) { *c = append(*c, tag) }

func newWorld() (*world, *transports.Gate) {
	w := &world{
		verdicts: map[netip.Addr]hostlist.Verdict{},
		hosts:    &window{map[quota.Key]uint32{}},
		forged:   &window{map[quota.Key]uint32{}},
	}
	return w, transports.NewGate(&transports.GateConfig{
		Lists: w, Quota: w, Directory: w, Store: w, Caller: w,
		Now:           func() time.Time { return time.Unix(1, 0) },
		DeniedProfile: func() quota.Profile { return quota.ThingsBoard },
		Classify: func(err error) transports.RefusalKind {
			if errors.Is(err, errStore) {
				return transports.StoreAway
			}
			return transports.Internal
		},
	})
}

var (
	sensor = netip.MustParseAddr("192.0.2.1")
	friend = netip.MustParseAddr("192.0.2.2")
	enemy  = netip.MustParseAddr("192.0.2.3")
)

// TestOneBudgetOverAllProtocols: a host's requests spend one window however
// they come, and the refusal says why.
func TestOneBudgetOverAllProtocols(t *testing.T) {
	_, g := newWorld()
	host := g.Host(sensor)
	require.False(t, refused(g.Admit(transports.HTTP, host)))
	require.False(t, refused(g.Admit(transports.MQTT, host)))
	a := g.Admit(transports.HTTP, host)
	require.Equal(t, transports.QuotaExceeded, a.Refusal.Kind)
	require.Equal(t, quota.ThingsBoard, a.Refusal.Profile)
	require.Equal(t, "host", a.Refusal.Policy)
	require.EqualValues(t, 2, a.Refusal.Used)
	require.EqualValues(t, 2, a.Refusal.Quota)
	require.GreaterOrEqual(t, a.Refusal.Wait, 31, "rounded up")
	require.LessOrEqual(t, a.Refusal.Wait, 34, "and at most a tenth more")
	require.Contains(t, a.Refusal.Reason(), "policy host, used 2 of 2, retry after 3")

	_, a = g.AdmitDatagram(transports.CoAP, host, "good")
	require.Equal(t, transports.QuotaExceeded, a.Refusal.Kind)

	require.Contains(t, g.Stats(), transports.AdmissionCount{Transport: "http", Verdict: "refused", Count: 1})
	require.Contains(t, g.Stats(), transports.AdmissionCount{Transport: "coap", Verdict: "refused", Count: 1})
	require.Contains(t, g.Stats(), transports.AdmissionCount{Transport: "mqtt", Verdict: "admitted", Count: 1})
}

func refused(a transports.Admission) bool { return a.Refusal.Refused() }

// TestAQuotaOfNoneIsExceeded: it is no matter of the request's size, and no wait
// can be told.
func TestAQuotaOfNoneIsExceeded(t *testing.T) {
	w, g := newWorld()
	w.never = &quota.Policy{Name: "host", Window: time.Minute, Profile: quota.ThingsBoard}
	a := g.Admit(transports.HTTP, g.Host(sensor))
	require.Equal(t, transports.QuotaExceeded, a.Refusal.Kind)
	require.Zero(t, a.Refusal.Wait)
	require.Equal(t, "quota exceeded: policy host, used 0 of 0", a.Refusal.Reason())

	w.sometime = true // the window ends some time, and the next one holds none either
	a = g.Admit(transports.HTTP, g.Host(sensor))
	require.Equal(t, transports.QuotaExceeded, a.Refusal.Kind)
	require.Zero(t, a.Refusal.Wait)
	w.sometime = false

	w.never.Quota = 3
	a = g.Admit(transports.HTTP, g.Host(sensor))
	require.Equal(t, transports.CostTooHigh, a.Refusal.Kind)
	require.Zero(t, a.Refusal.Wait)
}

// TestListsComeFirst: allowed hosts are not counted, denied ones reach nothing.
func TestListsComeFirst(t *testing.T) {
	w, g := newWorld()
	w.verdicts[friend], w.verdicts[enemy] = hostlist.Allowed, hostlist.Denied
	for range 5 {
		a := g.Admit(transports.HTTP, g.Host(friend))
		require.False(t, refused(a))
		require.Nil(t, a.Decision.Policy, "an allowed host has no policy to show")
		dev, a := g.AdmitDatagram(transports.CoAP, g.Host(friend), "good")
		require.False(t, refused(a))
		require.NotNil(t, dev)
	}
	require.Empty(t, w.hosts.used)

	for range 2 {
		require.Equal(t, transports.HostDenied, g.Admit(transports.MQTT, g.Host(enemy)).Refusal.Kind)
		dev, a := g.AdmitDatagram(transports.CoAP, g.Host(enemy), "good")
		require.Equal(t, transports.HostDenied, a.Refusal.Kind)
		require.Nil(t, dev)
	}
	require.Empty(t, w.hosts.used)
	require.Equal(t, 4, w.discards)
	require.True(t, g.Denied(g.Host(enemy)))
	require.False(t, g.Denied(g.Host(sensor)))
}

// TestForgedDatagramsCannotSpendAVictimsBudget: only a good token spends it.
func TestForgedDatagramsCannotSpendAVictimsBudget(t *testing.T) {
	_, g := newWorld()
	victim := g.Host(sensor)
	for range 2 {
		_, a := g.AdmitDatagram(transports.CoAP, victim, "guess")
		require.Equal(t, transports.BadCredentials, a.Refusal.Kind)
	}
	_, a := g.AdmitDatagram(transports.CoAP, victim, "guess")
	require.Equal(t, transports.QuotaExceeded, a.Refusal.Kind, "the guesser's own window is full")
	_, a = g.AdmitDatagram(transports.CoAP, victim, "")
	require.Equal(t, transports.QuotaExceeded, a.Refusal.Kind, "no token is no good token")

	for range 2 {
		dev, a := g.AdmitDatagram(transports.CoAP, victim, "good")
		require.False(t, refused(a))
		require.Equal(t, "pump", dev.Name)
	}
	dev, a := g.AdmitDatagram(transports.CoAP, victim, "good")
	require.Equal(t, transports.QuotaExceeded, a.Refusal.Kind)
	require.Nil(t, dev)
}

// TestAProxyIsNobody: what a trusted proxy says for itself is counted for no
// host.
func TestAProxyIsNobody(t *testing.T) {
	w, g := newWorld()
	for range 5 {
		require.False(t, refused(g.Admit(transports.HTTP, transports.Host{})))
	}
	require.Empty(t, w.hosts.used)
	require.Contains(t, g.Stats(), transports.AdmissionCount{Transport: "http", Verdict: "uncounted", Count: 5})
	require.Equal(t, "-", transports.Host{}.String())
}

func TestOneHostHasOneForm(t *testing.T) {
	_, g := newWorld()
	tests := []struct{ name, a, b string }{
		{"IPv4 in IPv6", "::ffff:192.0.2.1", "192.0.2.1"},
		{"NAT64", "64:ff9b::192.0.2.1", "192.0.2.1"},
		{"two addresses of one /64", "2001:db8::1", "2001:db8::ffff:2"},
		{"a zone", "fe80::1%eth0", "fe80::1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, g.Host(netip.MustParseAddr(tt.a)).Key, g.Host(netip.MustParseAddr(tt.b)).Key)
		})
	}
	require.NotEqual(t, g.Host(netip.MustParseAddr("fd00::1")).Key, g.Host(netip.MustParseAddr("fd00::2")).Key)
}

func TestIdentify(t *testing.T) {
	w, g := newWorld()
	tests := []struct {
		name, token string
		full        bool
		want        transports.RefusalKind
	}{
		{"a device's", "good", false, transports.None},
		{"none", "", false, transports.None},
		{"nobody's", "bad", false, transports.BadCredentials},
		{"too long", string(make([]byte, 600)), false, transports.NameTooLong},
		{"one too many", "new", true, transports.DirectoryFull},
		{"a fault", "odd", false, transports.Internal},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w.full = tt.full
			dev, r := g.Identify(tt.token)
			require.Equal(t, tt.want, r.Kind)
			require.Equal(t, tt.want == transports.None && tt.token != "", dev != nil)
			require.NotContains(t, r.Reason(), "secret")
		})
	}
}

func TestSubmit(t *testing.T) {
	tests := []struct {
		name    string
		kind    transports.Kind
		payload string
		want    transports.RefusalKind
	}{
		{"an object", transports.Telemetry, `{"t":1}`, transports.None},
		{"white space around", transports.Telemetry, "\n\t {} ", transports.None},
		{"an array of objects", transports.Telemetry, `[{"ts":1,"values":{"t":1}},{}]`, transports.None},
		{"an array of others", transports.Telemetry, `[{},1]`, transports.BadPayload},
		{"a number", transports.Telemetry, `1`, transports.BadPayload},
		{"nothing", transports.Telemetry, ``, transports.BadPayload},
		{"cut", transports.Telemetry, `{"t":`, transports.BadPayload},
		{"two values", transports.Telemetry, `{}{}`, transports.BadPayload},
		{"no UTF-8", transports.Telemetry, "{\"t\":\"\xff\"}", transports.BadPayload},
		{"attributes", transports.Attributes, `{"a":true}`, transports.None},
		{"attributes in an array", transports.Attributes, `[{}]`, transports.BadPayload},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w, g := newWorld()
			var done completions
			m := &transports.Message{Kind: tt.kind, Payload: []byte(tt.payload)}
			r := g.Submit(m, &done, 7)
			require.Equal(t, tt.want, r.Kind)
			if r.Refused() {
				require.Empty(t, w.stored)
				require.Empty(t, done)
				require.NotEmpty(t, r.Detail)
				return
			}
			require.Equal(t, completions{7}, done)
			require.Equal(t, time.Unix(1, 0), w.stored[0].Received)
		})
	}
}

// TestAStoreAway: an error of the store becomes a refusal that tells when to
// come back, and nothing of the error itself.
func TestAStoreAway(t *testing.T) {
	w, g := newWorld()
	w.storeErr = errStore
	r := g.Submit(&transports.Message{Payload: []byte("{}")}, nil, 0)
	require.Equal(t, transports.StoreAway, r.Kind)
	require.GreaterOrEqual(t, r.Wait, 10)
	require.Equal(t, "store unavailable", r.Reason())

	w.storeErr = errors.New("secret detail")
	r = g.Submit(&transports.Message{Payload: []byte("{}")}, nil, 0)
	require.Equal(t, transports.Internal, r.Kind)
	require.Equal(t, "internal error", r.Reason())
}

func TestBury(t *testing.T) {
	w, g := newWorld()
	var done completions
	why := transports.Refusal{Kind: transports.BadPayload, Detail: "the payload is not JSON"}
	r := g.Bury(&transports.Message{Payload: []byte("{")}, &why, &done, 3)
	require.False(t, r.Refused())
	require.Equal(t, []string{"the payload is not JSON"}, w.buried)
	require.Equal(t, completions{3}, done)
}

func TestCall(t *testing.T) {
	w, g := newWorld()
	dev := &devices.Device{Account: "acme", Name: "pump"}
	answer, r := g.Call(context.Background(), dev, "attributes", []byte("{}"))
	require.False(t, r.Refused())
	require.Equal(t, `{"client":{}}`, string(answer))
	require.Equal(t, []string{"acme pump attributes {}"}, w.asked)
	w.callErr = errStore
	_, r = g.Call(context.Background(), dev, "attributes", nil)
	require.Equal(t, transports.StoreAway, r.Kind)
}

// TestAdmissionAllocatesNothing, refused or not.
func TestAdmissionAllocatesNothing(t *testing.T) {
	w, g := newWorld()
	host := g.Host(sensor)
	w.hosts.used[host.Key] = 2
	require.Zero(t, testing.AllocsPerRun(100, func() {
		_, a := g.AdmitDatagram(transports.CoAP, host, "good")
		_ = transports.AnswerTo(&a.Refusal)
		_ = g.Admit(transports.HTTP, host)
	}))
}
