package control

import (
	"context"
	"errors"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/weirgate/weir/transports/listen"
)

// The bounds of a connection: a scrape is small and its client near. They are
// short, and one host has no more than a quarter of the connections, so that
// nobody shuts out who asks for health; a scraper that finds its connection
// closed opens another.
const (
	headerTimeout  = 2 * time.Second
	readTimeout    = 5 * time.Second
	writeTimeout   = 15 * time.Second // over readyTimeout
	idleTimeout    = 10 * time.Second
	maxHeaderBytes = 16 << 10
	maxConns       = 256
	maxPerHost     = 64
	readyTimeout   = 5 * time.Second
)

// Config is what a Server is made of.
type Config struct {
	// Address is host:port; port 0 takes a free one. Not used where Listener is set.
	Address string
	// Listener is bound already; the Server owns it. nil: Listen binds Address.
	Listener net.Listener
	// Ready is every reason why a gateway that has started should get no
	// traffic now; none: it is ready. It ends with ctx, 5 s at most, and may be called at any
	// time, by several at once. Its errors are shown to anybody. nil: ready.
	Ready func(ctx context.Context) []error
	// Collect is asked for the figures of each scrape, by several at once, and
	// never before SetReady. It must not block. nil, and until then: only the Go runtime's and the process's are shown.
	Collect func() Snapshot
	// Build is shown as weir_build_info.
	Build Build
	// Log takes, at debug level, what net/http complains of. nil: nothing.
	Log *slog.Logger
}

// Build says which weir this is.
type Build struct{ Version, Revision, Go string }

// Server is the control listener: GET /healthz, /readyz and /metrics. Its
// methods are safe for concurrent use; Listen and Serve once each, in that
// order.
type Server struct {
	cfg     Config
	http    http.Server
	ln      atomic.Pointer[net.Listener]
	phase   atomic.Uint32
	started atomic.Bool // the phase has once been serving
}

// The phases of a gateway, as /readyz tells them.
const (
	starting uint32 = iota
	serving
	stopping
)

// New is a Server that listens nowhere yet.
func New(cfg *Config) *Server {
	s := &Server{cfg: *cfg}
	if s.cfg.Log == nil {
		s.cfg.Log = slog.New(slog.DiscardHandler)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", healthz)
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", metrics(&s.cfg, &s.started))
	only1 := new(http.Protocols)
	only1.SetHTTP1(true)
	s.http = http.Server{
		Handler: mux, Protocols: only1, MaxHeaderBytes: maxHeaderBytes,
		ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout,
		WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		ErrorLog: log.New(complaints{s.cfg.Log}, "", 0),
	}
	return s
}

// Listen binds the address. Its error is one line that names it.
func (s *Server) Listen(ctx context.Context) error {
	ln := s.cfg.Listener
	if ln == nil {
		l, err := listen.TCP(ctx, &listen.Config{
			Address: s.cfg.Address, MaxConns: maxConns, MaxPerHost: maxPerHost,
		})
		if err != nil {
			return err
		}
		ln = l
	}
	s.ln.Store(&ln)
	return nil
}

// Addr is the real address, port included; nil before Listen.
func (s *Server) Addr() net.Addr {
	if ln := s.ln.Load(); ln != nil {
		return (*ln).Addr()
	}
	return nil
}

// errNotListening says that Serve was called before Listen.
var errNotListening = errors.New("control: Serve needs Listen before it")

// Serve answers requests until Shutdown; nil then, else why it ended.
func (s *Server) Serve() error {
	ln := s.ln.Load()
	if ln == nil {
		return errNotListening
	}
	if err := s.http.Serve(*ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// SetReady ends the start: until then /readyz fails and /metrics shows nothing
// of Config.Collect, from now on Config.Ready decides. It does nothing after
// SetStopping.
func (s *Server) SetReady() {
	if s.phase.CompareAndSwap(starting, serving) {
		s.started.Store(true)
	}
}

// SetStopping makes /readyz fail from now on: the first step of a shutdown, so
// that no new traffic is sent here.
func (s *Server) SetStopping() { s.phase.Store(stopping) }

// Shutdown stops accepting and waits for the answers in hand; when ctx ends
// first it closes all connections, which is no error: a client that does not
// end its request is no fault of the gateway, and a scrape is soon repeated.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if ln := s.ln.Load(); ln != nil {
		_ = (*ln).Close() // Shutdown knows it only once Serve has begun
	}
	if ctx.Err() == nil {
		return err
	}
	_ = s.http.Close() // of sockets that are of no use any more
	return nil
}

// complaints takes net/http's log, which strangers could fill.
type complaints struct{ log *slog.Logger }

func (c complaints) Write(p []byte) (int, error) {
	c.log.Debug("control server complains", "text", strings.TrimSpace(string(p)))
	return len(p), nil
}
