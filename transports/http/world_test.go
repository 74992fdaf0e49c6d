package http_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	nethttp "net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/weirgate/weir/devices"
	"github.com/weirgate/weir/hostlist"
	"github.com/weirgate/weir/quota"
	"github.com/weirgate/weir/transports"
	"github.com/weirgate/weir/transports/http"
	"github.com/weirgate/weir/transports/listen"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	errAway    = errors.New("away")
	errNobody  = errors.New("nobody")
	errTimeout = errors.New("timeout")
)

// world is everything around the Gate of a Server.
type world struct {
	mu       sync.Mutex // guards what follows
	policy   *quota.Policy
	verdicts map[netip.Addr]hostlist.Verdict
	used     map[quota.Key]uint32
	stored   []string // "kind device host payload"
	asked    []string
	held     []func() // completions kept back, if hold
	hold     bool
	storeErr error // of Submit
	doneErr  error // of the completion
	callErr  error
	answer   []byte
	panics   bool
	forget   bool          // store nothing
	silent   bool          // no service answers a question
	slow     chan struct{} // questions are answered once it is closed, unless nil
	denied   quota.Profile
	limits   transports.Policies // after identity

	identified atomic.Int64 // tokens seen
}

var now = time.Unix(1_800_000_000, 0)

func (w *world) Verdict(a netip.Addr) hostlist.Verdict { return w.verdicts[a] }

func (w *world) Check(k quota.Key, _ quota.Origin) quota.Decision {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.policy == nil {
		return quota.Decision{}
	}
	d := quota.Decision{Policy: w.policy, Used: w.used[k], Reset: 4500 * time.Millisecond}
	switch {
	case w.policy.Quota == 0:
		d.Refused, d.Never = true, true
	case d.Used >= w.policy.Quota:
		d.Refused = true
	default:
		w.used[k]++
		d.Used++
	}
	return d
}

func (w *world) Peek(quota.Key, quota.Origin) quota.Decision            { return quota.Decision{} }
func (w *world) CheckUnverified(quota.Key, quota.Origin) quota.Decision { return quota.Decision{} }
func (w *world) Discard(quota.Key, quota.Origin)                        {}
func (w *world) Policy() *quota.Policy                                  { return w.policy }

func (w *world) ByToken(token string) (*devices.Device, error) {
	w.identified.Add(1)
	switch {
	case w.panics:
		panic("a fault")
	case len(token) > devices.MaxName:
		return nil, devices.ErrName
	case token == "full":
		return nil, devices.ErrFull
	case strings.HasPrefix(token, "bad"):
		return nil, devices.ErrUnknown
	}
	return &devices.Device{Account: "acme", Name: token}, nil
}

func (w *world) Submit(m *transports.Message, c transports.Completer, tag uint64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.storeErr != nil {
		return w.storeErr
	}
	if w.forget {
		c.Complete(tag, nil)
		return nil
	}
	w.stored = append(w.stored, m.Kind.String()+" "+m.Device.Name+" "+m.Host.String()+" "+string(m.Payload))
	if w.hold {
		w.held = append(w.held, func() { c.Complete(tag, w.doneErr) })
		return nil
	}
	c.Complete(tag, w.doneErr)
	return nil
}

func (w *world) Bury(*transports.Message, string, transports.Completer, uint64) error { return nil }

func (w *world) Call(ctx context.Context, d *devices.Device, name string, q []byte) ([]byte, error) {
	w.mu.Lock()
	w.asked = append(w.asked, d.Name+" "+name+" "+string(q))
	w.mu.Unlock()
	if w.slow != nil {
		select {
		case <-w.slow:
		case <-ctx.Done():
		}
	}
	if w.silent {
		<-ctx.Done()
		return nil, errTimeout
	}
	return w.answer, w.callErr
}

// keptBack is how many completions are held.
func (w *world) keptBack() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.held)
}

// complete lets the held ones go.
func (w *world) complete() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range w.held {
		f()
	}
	w.held = nil
}

func (w *world) classify(err error) transports.RefusalKind {
	switch {
	case errors.Is(err, errAway):
		return transports.StoreAway
	case errors.Is(err, errNobody):
		return transports.NoService
	case errors.Is(err, errTimeout):
		return transports.ServiceTimeout
	}
	return transports.Internal
}

func (w *world) gate() *transports.Gate {
	w.used = map[quota.Key]uint32{}
	return transports.NewGate(&transports.GateConfig{
		Lists: w, Quota: w, Policies: w.limits, Directory: w, Store: w, Caller: w,
		Now:           func() time.Time { return now },
		DeniedProfile: func() quota.Profile { return w.denied },
		Classify:      w.classify,
	})
}

// serve runs a Server over w until the test ends. cfg may be nil.
func serve(t testing.TB, w *world, cfg *http.Config) *http.Server {
	t.Helper()
	if cfg == nil {
		cfg = &http.Config{}
	}
	if cfg.Listener == nil {
		ln, err := listen.TCP(context.Background(), &listen.Config{Address: "127.0.0.1:0"})
		require.NoError(t, err)
		cfg.Listener = ln
	}
	cfg.Gate = w.gate()
	cfg.PartitionKeys = transports.NewPartitionKeys(nil, true)
	cfg.Now = func() time.Time { return now }
	s := http.New(cfg)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve() }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, s.Shutdown(ctx))
		require.NoError(t, <-ended)
	})
	return s
}

// client is a raw connection that shows the answers' very bytes.
type client struct {
	net.Conn
	r *bufio.Reader
	t testing.TB
}

func connect(t testing.TB, s *http.Server) *client {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(20*time.Second)))
	return &client{c, bufio.NewReader(c), t}
}

// answer is one answer: its head as it came, and its body.
type answer struct {
	head, body string
	*nethttp.Response
}

func (c *client) do(request string) answer {
	c.t.Helper()
	_, err := c.Write([]byte(request))
	require.NoError(c.t, err)
	method, _, _ := strings.Cut(request, " ")
	return c.read(method)
}

func (c *client) read(method string) answer {
	c.t.Helper()
	var head strings.Builder
	for {
		line, err := c.r.ReadString('\n')
		require.NoError(c.t, err, "after %q", head.String())
		head.WriteString(line)
		if line == "\r\n" {
			break
		}
	}
	resp, err := nethttp.ReadResponse(
		bufio.NewReader(io.MultiReader(strings.NewReader(head.String()), c.r)), &nethttp.Request{Method: method})
	require.NoError(c.t, err)
	body := make([]byte, max(0, resp.ContentLength))
	if method != "HEAD" {
		_, err = io.ReadFull(resp.Body, body)
		require.NoError(c.t, err)
	}
	return answer{head.String(), string(body), resp}
}

func post(path, body string) string {
	return "POST " + path + " HTTP/1.1\r\nHost: weir\r\nContent-Length: " + itoa(len(body)) + "\r\n\r\n" + body
}

func get(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: weir\r\n\r\n" }
