package http

import (
	"context"
	"errors"
	"log"
	"log/slog"
	"net"
	nethttp "net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/weirgate/weir/transports"
	"github.com/weirgate/weir/transports/listen"
)

// The bounds of a connection. A request has ReadTimeout to arrive whole, so
// that a slow sender holds a connection no longer; the answer has WriteTimeout
// from then on, which leaves the store its 10 s. What is left of the body of a
// refused request has refusedBody to arrive.
const (
	ReadHeaderTimeout = 10 * time.Second
	ReadTimeout       = 30 * time.Second
	WriteTimeout      = 30 * time.Second
	IdleTimeout       = 60 * time.Second
	refusedBody       = time.Second
	MaxHeaderBytes    = 16 << 10
	DefaultMaxBody    = 64 << 10
)

// Config is what a Server is made of.
type Config struct {
	// Listener is bound already; the Server owns it. Required.
	Listener net.Listener
	// Peer says whose a connection is (listen.Peer). It is called once a
	// connection, from its own goroutine, and may wait for a PROXY header. nil:
	// the socket's peer.
	Peer func(net.Conn) (addr netip.Addr, counted bool)
	// TrustedProxies may name their client in the header that Forwarded says.
	TrustedProxies listen.Prefixes
	Forwarded      listen.ForwardedMode
	// MaxBody is the largest request body in bytes. 0: DefaultMaxBody.
	MaxBody int64
	// Gate admits, identifies and stores. Required.
	Gate *transports.Gate
	// PartitionKeys makes the pk of the RateLimit fields. Required.
	PartitionKeys *transports.PartitionKeys
	// Log takes faults of ours, at most one line a minute, and at debug level
	// what net/http complains of. nil: nothing is logged.
	Log *slog.Logger
	// Now is the clock. nil: time.Now.
	Now func() time.Time
}

// Stats is what a Server has seen since it was made.
type Stats struct {
	Connections int    // open now
	Malformed   uint64 // no HTTP at all: answered without a request
	Panics      uint64 // faults of ours, answered with 500
	Complaints  uint64 // lines of net/http, logged at debug level
}

// Server is the HTTP front-end. Serve once; all methods are safe for concurrent
// use.
type Server struct {
	cfg      Config
	http     nethttp.Server
	engine   *gin.Engine
	stop     context.CancelFunc // ends what requests still wait for
	stopped  <-chan struct{}
	tooLarge string
	buffers  sync.Pool // *[]byte of at most keepBuffer bytes
	receipts sync.Pool // *receipt, none of which may still be completed

	asking                        *transports.Asking
	conns                         connSet
	leaving                       atomic.Bool // Shutdown has begun
	malformed, panics, complaints atomic.Uint64
	nextLine                      atomic.Int64 // UNIX nanoseconds before which no fault is logged
}

// New is a Server over cfg.Listener.
func New(cfg *Config) *Server {
	s := &Server{cfg: *cfg}
	s.setDefaults()
	base, stop := context.WithCancel(context.Background())
	s.stop, s.stopped = stop, base.Done()
	s.conns.init()
	s.asking = transports.NewAsking(maxAsked)
	s.tooLarge = "the body is over " + strconv.FormatInt(s.cfg.MaxBody, 10) + " bytes"
	s.buffers.New = func() any { b := make([]byte, 0, firstBuffer); return &b }
	s.receipts.New = func() any { return &receipt{make(chan error, 1)} }
	s.engine = s.routes()
	only1 := new(nethttp.Protocols)
	only1.SetHTTP1(true)
	s.http = nethttp.Server{
		Handler: s, Protocols: only1,
		ReadHeaderTimeout: ReadHeaderTimeout, ReadTimeout: ReadTimeout,
		WriteTimeout: WriteTimeout, IdleTimeout: IdleTimeout, MaxHeaderBytes: MaxHeaderBytes,
		ErrorLog:                     log.New(complaints{s}, "", 0),
		DisableGeneralOptionsHandler: true, // it would answer without admission
		BaseContext:                  func(net.Listener) context.Context { return base },
		ConnState:                    s.follow,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, c)
		},
	}
	return s
}

func (s *Server) setDefaults() {
	if s.cfg.Peer == nil {
		s.cfg.Peer = listen.Peer
	}
	if s.cfg.MaxBody <= 0 {
		s.cfg.MaxBody = DefaultMaxBody
	}
	if s.cfg.Log == nil {
		s.cfg.Log = slog.New(slog.DiscardHandler)
	}
	if s.cfg.Now == nil {
		s.cfg.Now = time.Now
	}
}

// routes is the router. Its own answers are replaced, its guesses (redirects,
// proxy headers) are off.
func (s *Server) routes() *gin.Engine {
	gin.SetMode(gin.ReleaseMode) // gin prints to standard output otherwise
	e := gin.New()
	_ = e.SetTrustedProxies(nil) // nil cannot fail
	e.RedirectTrailingSlash = false
	e.ForwardedByClientIP = false
	e.HandleMethodNotAllowed = true
	e.UseRawPath = true // so that a token may hold an escaped slash
	e.UnescapePathValues = false
	e.POST("/api/v1/:token/telemetry", s.telemetry)
	e.POST("/api/v1/:token/attributes", s.attributes)
	e.GET("/api/v1/:token/attributes", s.askAttributes)
	e.HEAD("/api/v1/:token/attributes", s.askAttributes)
	e.NoRoute(s.unknownPath)
	e.NoMethod(s.badMethod)
	return e
}

// Addr is the listener's address.
func (s *Server) Addr() net.Addr { return s.cfg.Listener.Addr() }

// Serve answers requests until Shutdown; nil then, else why it ended.
func (s *Server) Serve() error {
	err := s.http.Serve(listener{s.cfg.Listener, s})
	if errors.Is(err, nethttp.ErrServerClosed) {
		return nil
	}
	return err
}

// Stats is the state of the counters.
func (s *Server) Stats() Stats {
	return Stats{
		Connections: s.conns.len(), Malformed: s.malformed.Load(),
		Panics: s.panics.Load(), Complaints: s.complaints.Load(),
	}
}

// complaints takes net/http's log, which strangers could fill.
type complaints struct{ s *Server }

func (c complaints) Write(p []byte) (int, error) {
	c.s.complaints.Add(1)
	c.s.cfg.Log.Debug("http server complains", "text", strings.TrimSpace(string(p)))
	return len(p), nil
}

// faultEvery is how often a fault of ours may be logged.
const faultEvery = time.Minute

// fault logs a fault of ours, unless one was logged within faultEvery.
func (s *Server) fault(msg string, attrs ...any) {
	now, next := s.cfg.Now().UnixNano(), s.nextLine.Load()
	if now >= next && s.nextLine.CompareAndSwap(next, now+int64(faultEvery)) {
		s.cfg.Log.Error(msg, attrs...)
	}
}
