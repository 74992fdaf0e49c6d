package mqtt_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/weirgate/weir/devices"
	"github.com/weirgate/weir/hostlist"
	"github.com/weirgate/weir/quota"
	"github.com/weirgate/weir/transports"
	"github.com/weirgate/weir/transports/mqtt"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds how long a test waits for what must come.
const patience = 10 * time.Second

// fakeLists deny a host once told to.
type fakeLists struct {
	mu      sync.Mutex
	verdict hostlist.Verdict
}

func (l *fakeLists) Verdict(netip.Addr) hostlist.Verdict {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.verdict
}

func (l *fakeLists) set(v hostlist.Verdict) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.verdict = v
}

// fakeQuota admits left requests and refuses the others.
type fakeQuota struct {
	mu     sync.Mutex
	policy *quota.Policy // replaced, never changed
	left   int
	asked  int
}

func (q *fakeQuota) Check(quota.Key, quota.Origin) quota.Decision {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.asked++
	d := quota.Decision{Policy: q.policy, Used: q.policy.Quota, Reset: 5 * time.Second, Refused: q.left <= 0}
	if !d.Refused {
		q.left--
	}
	return d
}

func (q *fakeQuota) Peek(k quota.Key, o quota.Origin) quota.Decision            { return q.Check(k, o) }
func (q *fakeQuota) CheckUnverified(k quota.Key, o quota.Origin) quota.Decision { return q.Check(k, o) }
func (q *fakeQuota) Discard(quota.Key, quota.Origin)                            {}
func (q *fakeQuota) Policy() *quota.Policy                                      { return q.policy }

// charged is how many requests were asked about so far.
func (q *fakeQuota) charged() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.asked
}

func (q *fakeQuota) leave(n int, p quota.Profile) {
	q.mu.Lock()
	defer q.mu.Unlock()
	changed := *q.policy
	changed.Profile = p
	q.left, q.policy = n, &changed
}

type fakeDirectory map[string]*devices.Device

func (d fakeDirectory) ByToken(token string) (*devices.Device, error) {
	if dev, ok := d[token]; ok {
		return dev, nil
	}
	return nil, devices.ErrUnknown
}

// kept is a message that the store was given.
type kept struct {
	kind    transports.Kind
	device  string
	payload string
	reason  string // of a burial
	loose   bool   // Unpromised
	done    func(error)
}

var (
	errAway = errors.New("the store is away")
	errName = errors.New("the subject is too long")
)

// fakeStore completes at once, or when the test says so.
type fakeStore struct {
	mu       sync.Mutex
	hold     bool
	refuse   error // of both ways
	refuseUp error // of Submit
	all      []kept
}

func (s *fakeStore) Submit(m *transports.Message, c transports.Completer, tag uint64) error {
	s.mu.Lock()
	err := s.refuseUp
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return s.take(m, "", func(err error) { c.Complete(tag, err) })
}

func (s *fakeStore) Bury(m *transports.Message, reason string, c transports.Completer, tag uint64) error {
	return s.take(m, reason, func(err error) { c.Complete(tag, err) })
}

func (s *fakeStore) take(m *transports.Message, reason string, done func(error)) error {
	s.mu.Lock()
	if s.refuse != nil {
		s.mu.Unlock()
		return s.refuse
	}
	s.all = append(s.all, kept{m.Kind, m.Device.Name, string(m.Payload), reason, m.Unpromised, done})
	hold := s.hold
	s.mu.Unlock()
	if !hold {
		done(nil)
	}
	return nil
}

func (s *fakeStore) set(hold bool, refuse error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hold, s.refuse = hold, refuse
}

// setUp makes Submit, but not Bury, refuse.
func (s *fakeStore) setUp(refuse error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuseUp = refuse
}

func (s *fakeStore) stored() []kept {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all)
}

type fakeCaller func(ctx context.Context, d *devices.Device, name string, question []byte) ([]byte, error)

func (f fakeCaller) Call(ctx context.Context, d *devices.Device, name string, q []byte) ([]byte, error) {
	return f(ctx, d, name, q)
}

// presence remembers what it was told.
type presence struct {
	mu   sync.Mutex
	told []string
}

func (p *presence) Connected(s mqtt.Session) { p.add("+" + s.Device.Name + "/" + s.ClientID) }
func (p *presence) Disconnected(s mqtt.Session, why string) {
	p.add("-" + s.Device.Name + "/" + s.ClientID + ": " + why)
}

func (p *presence) add(s string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told = append(p.told, s)
}

func (p *presence) list() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.told)
}

// clock is a clock that tests set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// rig is a Server on a real socket over a real Gate.
type rig struct {
	t        testing.TB
	srv      *mqtt.Server
	lists    *fakeLists
	quota    *fakeQuota
	policies transports.Policies
	store    *fakeStore
	presence *presence
	clock    *clock
	caller   fakeCaller // set before the first question
	log      *logBuffer
}

type logBuffer struct {
	mu sync.Mutex
	b  []byte
}

func (l *logBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b = append(l.b, b...)
	return len(b), nil
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.b)
}

func newRig(t testing.TB, change ...func(*mqtt.Config)) *rig { return newLimitedRig(t, nil, change...) }

// newLimitedRig is a rig with policies after identity.
func newLimitedRig(t testing.TB, policies transports.Policies, change ...func(*mqtt.Config)) *rig {
	r := &rig{
		policies: policies,
		t:        t, lists: &fakeLists{}, store: &fakeStore{}, presence: &presence{},
		quota: &fakeQuota{left: 1 << 30, policy: &quota.Policy{
			Name: "host", Quota: 10, Window: time.Minute, Profile: quota.ThingsBoard,
		}},
		clock: &clock{now: time.Unix(1_700_000_000, 0)}, log: &logBuffer{},
		caller: func(context.Context, *devices.Device, string, []byte) ([]byte, error) {
			return []byte(`{"client":{"a":1}}`), nil
		},
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	cfg := &mqtt.Config{
		Listener: ln, Gate: r.gate(), Presence: r.presence, Naming: mqtt.UserNameOrClientID,
		Log: slog.New(slog.NewTextHandler(r.log, nil)), Now: r.clock.Now,
	}
	for _, f := range change {
		f(cfg)
	}
	r.srv, err = mqtt.New(cfg)
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- r.srv.Serve() }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		_ = r.srv.Shutdown(ctx)
		require.NoError(t, <-served)
	})
	return r
}

func (r *rig) gate() *transports.Gate {
	return transports.NewGate(&transports.GateConfig{
		Lists: r.lists, Quota: r.quota, Policies: r.policies, Store: r.store, Now: r.clock.Now,
		Directory: fakeDirectory{
			"tok1":    {Account: "acme", Name: "dev1"},
			"tok2":    {Account: "acme", Name: "dev2"},
			"longest": {Account: "acme", Name: strings.Repeat("n", 488)},
			"longer":  {Account: "acme", Name: strings.Repeat("n", 489)},
			"dots":    {Account: "acme", Name: strings.Repeat(".", 165)},
		},
		Caller: fakeCaller(func(ctx context.Context, d *devices.Device, name string, q []byte) ([]byte, error) {
			return r.caller(ctx, d, name, q)
		}),
		DeniedProfile: func() quota.Profile { return quota.ThingsBoard },
		Classify: func(err error) transports.RefusalKind {
			if errors.Is(err, errName) {
				return transports.NameTooLong
			}
			return transports.StoreAway
		},
	})
}

// client speaks raw MQTT.
type client struct {
	t testing.TB
	v byte
	net.Conn
	r *bufio.Reader
}

func (r *rig) dial(v byte) *client {
	c, err := net.Dial("tcp", r.srv.Addr().String())
	require.NoError(r.t, err)
	r.t.Cleanup(func() { _ = c.Close() })
	require.NoError(r.t, c.SetDeadline(time.Now().Add(patience)))
	return &client{r.t, v, c, bufio.NewReader(c)}
}

// join connects as device token with client identifier id.
func (r *rig) join(v byte, token, id string) *client {
	c := r.dial(v)
	c.send(connect(v, hello{user: token, id: id, clean: true}))
	require.Equal(r.t, byte(0), c.connack().code)
	return c
}

func (c *client) send(b ...[]byte) {
	_, err := c.Write(slices.Concat(b...))
	require.NoError(c.t, err)
}

// packet is a packet as it came.
type packet struct {
	head byte
	body []byte
}

// read is the next packet, or an error when the connection has ended.
func (c *client) read() (packet, error) {
	head, err := c.r.ReadByte()
	if err != nil {
		return packet{}, err
	}
	n, err := binary.ReadUvarint(c.r)
	if err != nil {
		return packet{}, err
	}
	p := packet{head, make([]byte, n)}
	_, err = io.ReadFull(c.r, p.body)
	return p, err
}

func (c *client) want(head byte) packet {
	c.t.Helper()
	p, err := c.read()
	require.NoError(c.t, err)
	require.Equalf(c.t, head, p.head, "packet type; body %x %q", p.body, p.body)
	return p
}

// wantEnd is the connection's end, before which nothing more comes.
func (c *client) wantEnd() {
	c.t.Helper()
	p, err := c.read()
	require.Errorf(c.t, err, "got %x %q", p.head, p.body)
	var timeout net.Error
	require.False(c.t, errors.As(err, &timeout) && timeout.Timeout(), "the connection is still open")
}

type connack struct {
	present, code byte
	props         string
}

func (c *client) connack() connack {
	c.t.Helper()
	p := c.want(0x20)
	return connack{p.body[0], p.body[1], string(p.body[2:])}
}

// wantAck is the next packet: an acknowledgement of id with a code.
func (c *client) wantAck(head byte, id uint16, code byte) string {
	c.t.Helper()
	p := c.want(head)
	require.Equal(c.t, id, binary.BigEndian.Uint16(p.body), "packet identifier")
	if len(p.body) == 2 {
		require.Equal(c.t, code, byte(0), "reason code")
		return ""
	}
	require.Equalf(c.t, code, p.body[2], "reason code; %q", p.body)
	return string(p.body[3:])
}

// wantBye is DISCONNECT with a code, or over 3.1.1 nothing, and then the end.
func (c *client) wantBye(code byte) string {
	c.t.Helper()
	said := ""
	if c.v == 5 {
		p := c.want(0xE0)
		require.Equalf(c.t, code, p.body[0], "reason code; %q", p.body)
		said = string(p.body[1:])
	}
	c.wantEnd()
	return said
}

// ping sends PINGREQ and wants its answer: all that came before is handled then.
func (c *client) ping() {
	c.t.Helper()
	c.send([]byte{0xC0, 0})
	c.want(0xD0)
}

// The vectors.

func text(s string) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...) }

func frame(head byte, parts ...[]byte) []byte {
	body := slices.Concat(parts...)
	return append(binary.AppendUvarint([]byte{head}, uint64(len(body))), body...)
}

// props are MQTT 5 properties; MQTT 3.1.1 has none.
func props(v byte, parts ...[]byte) []byte {
	if v != 5 {
		return nil
	}
	all := slices.Concat(parts...)
	return append(binary.AppendUvarint(nil, uint64(len(all))), all...)
}

type hello struct {
	user, id  string
	clean     bool
	keepAlive uint16
	props     []byte
	will      string // topic
	retain    bool
	pass      bool
}

func connect(v byte, h hello) []byte {
	flags, payload := byte(0), text(h.id)
	if h.clean {
		flags |= 2
	}
	if h.will != "" {
		flags |= 4
		payload = slices.Concat(payload, props(v), text(h.will), text(""))
	}
	if h.retain {
		flags |= 0x20
	}
	if h.user != "" {
		flags |= 0x80
		payload = append(payload, text(h.user)...)
	}
	if h.pass {
		flags |= 0x40
		payload = append(payload, text("")...)
	}
	return frame(0x10, text("MQTT"), []byte{v, flags}, binary.BigEndian.AppendUint16(nil, h.keepAlive), props(v, h.props), payload)
}

const (
	telemetry  = "v1/devices/me/telemetry"
	attributes = "v1/devices/me/attributes"
)

func publish(v, qos byte, id uint16, topic, payload string, p ...[]byte) []byte {
	var pid []byte
	if qos > 0 {
		pid = binary.BigEndian.AppendUint16(nil, id)
	}
	return frame(0x30|qos<<1, text(topic), pid, props(v, p...), []byte(payload))
}

func subscribe(v byte, id uint16, filters ...string) []byte {
	var list []byte
	for _, f := range filters {
		list = append(append(list, text(f)...), 1)
	}
	return frame(0x82, binary.BigEndian.AppendUint16(nil, id), props(v), list)
}

func unsubscribe(v byte, id uint16, filters ...string) []byte {
	var list []byte
	for _, f := range filters {
		list = append(list, text(f)...)
	}
	return frame(0xA2, binary.BigEndian.AppendUint16(nil, id), props(v), list)
}

func pubrel(id uint16) []byte { return frame(0x62, binary.BigEndian.AppendUint16(nil, id)) }

var versions = []struct {
	name string
	v    byte
}{{"3.1.1", 4}, {"5", 5}}

// each runs a test in both versions.
func each(t *testing.T, f func(t *testing.T, v byte)) {
	for _, v := range versions {
		t.Run(v.name, func(t *testing.T) { f(t, v.v) })
	}
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	require.Eventually(t, ok, patience, time.Millisecond, what)
}
