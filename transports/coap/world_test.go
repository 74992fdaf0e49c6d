package coap_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/udp/coder"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/weirgate/weir/devices"
	"github.com/weirgate/weir/hostlist"
	"github.com/weirgate/weir/quota"
	"github.com/weirgate/weir/transports"
	"github.com/weirgate/weir/transports/coap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// errAway is what the fake store means by being away.
var errAway = errors.New("store away")

// clock is a clock that a test sets.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// hosts is lists and host quota in one: denied hosts, and how many requests any
// host has left.
type hosts struct {
	mu                  sync.Mutex
	denied              map[netip.Addr]bool
	limit               uint32
	used, unverified    map[quota.Key]uint32
	discarded, rejected int
	wait                time.Duration // told by a refusal
}

var hostPolicy = &quota.Policy{Name: "host", Quota: 5, Window: time.Minute, Profile: quota.ThingsBoard}

func (h *hosts) Verdict(a netip.Addr) hostlist.Verdict {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.denied[a] {
		return hostlist.Denied
	}
	return hostlist.Neutral
}

func (h *hosts) count(m map[quota.Key]uint32, k quota.Key, charge uint32) quota.Decision {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.limit == 0 {
		return quota.Decision{}
	}
	p := *hostPolicy
	p.Quota = h.limit
	if m[k] >= h.limit {
		h.rejected++
		return quota.Decision{Policy: &p, Refused: true, Used: m[k], Reset: h.wait}
	}
	m[k] += charge
	return quota.Decision{Policy: &p, Used: m[k], Reset: h.wait}
}

func (h *hosts) Check(k quota.Key, _ quota.Origin) quota.Decision { return h.count(h.used, k, 1) }
func (h *hosts) Peek(k quota.Key, _ quota.Origin) quota.Decision  { return h.count(h.used, k, 0) }
func (h *hosts) CheckUnverified(k quota.Key, _ quota.Origin) quota.Decision {
	return h.count(h.unverified, k, 1)
}
func (h *hosts) Discard(quota.Key, quota.Origin) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.discarded++
}
func (h *hosts) Policy() *quota.Policy { return hostPolicy }

// spent is what all hosts have spent of their windows.
func (h *hosts) spent() (verified, unverified uint32) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, n := range h.used {
		verified += n
	}
	for _, n := range h.unverified {
		unverified += n
	}
	return verified, unverified
}

// directory knows one device by the token "tok", a fleet by their numbers, and
// panics over "boom".
type directory struct {
	device devices.Device
}

func (d *directory) ByToken(token string) (*devices.Device, error) {
	switch token {
	case "tok":
		return &d.device, nil
	case "boom":
		panic("no token " + token)
	}
	if _, err := strconv.Atoi(token); err == nil {
		return &devices.Device{Account: "fleet", Name: strings.Clone(token)}, nil
	}
	return nil, devices.ErrUnknown
}

// store keeps what it is given; in manual mode until the test confirms it.
type store struct {
	mu     sync.Mutex
	manual bool
	refuse error
	panics string // a body over which Submit panics
	bodies []string
	kinds  []transports.Kind
	loose  []bool // Unpromised
	open   []func(error)
}

func (s *store) Submit(m *transports.Message, c transports.Completer, tag uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse != nil {
		return s.refuse
	}
	if s.panics != "" && s.panics == string(m.Payload) {
		panic("cannot store " + s.panics)
	}
	s.bodies = append(s.bodies, string(m.Payload))
	s.kinds = append(s.kinds, m.Kind)
	s.loose = append(s.loose, m.Unpromised)
	if !s.manual {
		c.Complete(tag, nil)
		return nil
	}
	s.open = append(s.open, func(err error) { c.Complete(tag, err) })
	return nil
}

func (s *store) Bury(*transports.Message, string, transports.Completer, uint64) error { return nil }

func (s *store) stored() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.bodies...)
}

// confirm waits for n open messages and completes them with err.
func (w *world) confirm(n int, err error) {
	w.t.Helper()
	var open []func(error)
	require.Eventually(w.t, func() bool {
		w.store.mu.Lock()
		defer w.store.mu.Unlock()
		if len(w.store.open) < n {
			return false
		}
		open, w.store.open = w.store.open[:n], w.store.open[n:]
		return true
	}, 5*time.Second, time.Millisecond)
	for _, complete := range open {
		complete(err)
	}
	w.srv.Flush()
}

// caller answers questions by a test's function.
type caller func(ctx context.Context, name string, question []byte) ([]byte, error)

func (c caller) Call(ctx context.Context, _ *devices.Device, name string, question []byte) ([]byte, error) {
	return c(ctx, name, question)
}

// world is a Server on a real socket, between a real Gate and fakes.
type world struct {
	t     *testing.T
	clock *clock
	hosts *hosts
	store *store
	limit transports.Policies // after identity
	ask   caller
	srv   *coap.Server
}

// newWorld makes a world that listens on 127.0.0.1; change may alter the Config
// and the fakes before.
func newWorld(t *testing.T, change func(*world, *coap.Config)) *world {
	t.Helper()
	w := &world{
		t: t, clock: &clock{now: time.Unix(1_800_000_000, 0)},
		hosts: &hosts{denied: map[netip.Addr]bool{}, used: map[quota.Key]uint32{}, unverified: map[quota.Key]uint32{}, wait: 7 * time.Second},
		store: &store{},
		ask:   func(context.Context, string, []byte) ([]byte, error) { return []byte(`{}`), nil },
	}
	cfg := &coap.Config{Address: "127.0.0.1:0", Now: w.clock.Now}
	if change != nil {
		change(w, cfg)
	}
	cfg.Gate = transports.NewGate(&transports.GateConfig{
		Lists: w.hosts, Quota: w.hosts, Policies: w.limit, Store: w.store, Now: w.clock.Now,
		Directory:     &directory{device: devices.Device{Account: "a", Name: "d"}},
		Caller:        caller(func(ctx context.Context, n string, q []byte) ([]byte, error) { return w.ask(ctx, n, q) }),
		DeniedProfile: func() quota.Profile { return quota.ThingsBoard },
		Classify:      func(error) transports.RefusalKind { return transports.StoreAway },
	})
	w.srv = coap.New(cfg)
	require.NoError(t, w.srv.Listen(t.Context()))
	return w
}

// serve runs the Server until the test ends.
func (w *world) serve() *world {
	served := make(chan error, 1)
	go func() { served <- w.srv.Serve() }()
	w.t.Cleanup(func() {
		w.confirmAll()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		require.NoError(w.t, w.srv.Shutdown(ctx))
		require.NoError(w.t, <-served)
	})
	return w
}

// confirmAll completes what a test left open.
func (w *world) confirmAll() {
	w.store.mu.Lock()
	open := w.store.open
	w.store.open = nil
	w.store.mu.Unlock()
	for _, complete := range open {
		complete(nil)
	}
}

// peer is a client's socket.
type peer struct {
	t    *testing.T
	conn *net.UDPConn
}

func (w *world) peer() *peer { return w.peerFrom("127.0.0.1") }

func (w *world) peerFrom(ip string) *peer {
	w.t.Helper()
	to := w.srv.Addr().(*net.UDPAddr)
	conn, err := net.DialUDP("udp", &net.UDPAddr{IP: net.ParseIP(ip)}, to)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { _ = conn.Close() })
	return &peer{w.t, conn}
}

func (p *peer) send(b []byte) {
	p.t.Helper()
	_, err := p.conn.Write(b)
	require.NoError(p.t, err)
}

// receive is the next datagram.
func (p *peer) receive() []byte {
	p.t.Helper()
	require.NoError(p.t, p.conn.SetReadDeadline(time.Now().Add(5*time.Second)))
	b := make([]byte, 4096)
	n, err := p.conn.Read(b)
	require.NoError(p.t, err)
	return b[:n]
}

// answer is the next datagram as a message.
func (p *peer) answer() message.Message {
	p.t.Helper()
	return decode(p.t, p.receive())
}

func decode(t *testing.T, b []byte) message.Message {
	t.Helper()
	m := message.Message{Options: make(message.Options, 0, 16)}
	_, err := coder.DefaultCoder.Decode(b, &m)
	require.NoError(t, err, "%x", b)
	return m
}

// silent shows that nothing but the answer to a ping sent now is on its way.
func (p *peer) silent() {
	p.t.Helper()
	p.send([]byte{0x40, 0, 0xfe, 0xfe})
	require.Equal(p.t, []byte{0x70, 0, 0xfe, 0xfe}, p.receive())
}

// opt is an option of a number and a value.
func opt(id message.OptionID, value string) message.Option {
	return message.Option{ID: id, Value: []byte(value)}
}

// path is the options of a path and of more, which follow Uri-Path in number.
func path(segments []string, more ...message.Option) message.Options {
	var o message.Options
	for _, s := range segments {
		o = append(o, opt(message.URIPath, s))
	}
	return append(o, more...)
}

// encode is a message's bytes.
func encode(t testing.TB, m message.Message) []byte {
	t.Helper()
	b := make([]byte, 70000)
	n, err := coder.DefaultCoder.Encode(m, b)
	require.NoError(t, err)
	return b[:n]
}

var telemetryPath = []string{"api", "v1", "tok", "telemetry"}

// post is a telemetry POST of type kind.
func post(t testing.TB, kind message.Type, mid int32, token, payload string) []byte {
	return encode(t, message.Message{
		Type: kind, Code: codes.POST, MessageID: mid, Token: []byte(token),
		Options: path(telemetryPath), Payload: []byte(payload),
	})
}
