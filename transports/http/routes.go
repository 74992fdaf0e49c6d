package http

import (
	nethttp "net/http"
	"net/url"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/weirgate/weir/devices"
	"github.com/weirgate/weir/quota"
	"github.com/weirgate/weir/transports"
)

func (s *Server) telemetry(g *gin.Context)  { s.take(g, transports.Telemetry) }
func (s *Server) attributes(g *gin.Context) { s.take(g, transports.Attributes) }

// take stores a message and answers 200 once it is stored. The token is judged
// before a byte of the body is read.
func (s *Server) take(g *gin.Context, kind transports.Kind) {
	dev, refusal := s.device(g)
	if !refusal.Refused() {
		refusal = s.store(g, kind, dev)
	}
	if refusal.Refused() {
		s.refuse(g.Writer, g.Request, &refusal)
	}
}

// store reads the body, sends it up and waits for the store.
func (s *Server) store(g *gin.Context, kind transports.Kind, dev *devices.Device) transports.Refusal {
	c := connOf(g.Request)
	buf := s.buffer()
	body, refusal := s.readBody(g.Writer, g.Request, (*buf)[:0])
	*buf = body
	defer s.keep(buf)
	if refusal.Refused() {
		return refusal
	}
	c.req.read = true
	if refusal = s.charge(g, &transports.Ask{
		Device: dev, Class: quota.Messages, Cost: transports.Messages(kind, body), Topic: kind.Topic(),
	}); refusal.Refused() {
		return refusal
	}
	_ = c.SetWriteDeadline(time.Now().Add(WriteTimeout)) // it fails where the client is gone
	c.req.msg = transports.Message{
		Transport: transports.HTTP, Kind: kind, Host: c.req.host, Device: dev, Payload: body,
	}
	rec := s.receipts.Get().(*receipt)
	refusal = s.cfg.Gate.Submit(&c.req.msg, rec, 0)
	c.req.msg.Payload = nil
	if refusal.Refused() { // the store will not complete it
		s.receipts.Put(rec)
		return refusal
	}
	return s.await(rec)
}

// device is whose the token in the path is.
func (s *Server) device(g *gin.Context) (*devices.Device, transports.Refusal) {
	token := g.Param("token")
	if g.Request.URL.RawPath != "" { // else gin took it from the decoded path
		var err error
		if token, err = url.PathUnescape(token); err != nil {
			return nil, transports.Refusal{Kind: transports.BadCredentials}
		}
	}
	if token == "." || token == ".." {
		// Intermediaries remove such segments (RFC 3986 5.2.4): a path that
		// still has them means something else on each way here.
		return nil, transports.Refusal{Kind: transports.UnknownPath}
	}
	dev, refusal := s.cfg.Gate.Identify(token)
	if dev == nil && !refusal.Refused() { // an empty token
		refusal.Kind = transports.BadCredentials
	}
	return dev, refusal
}

// allMethods is what `OPTIONS *` is told.
const allMethods = "POST, GET, HEAD, OPTIONS"

func (s *Server) unknownPath(g *gin.Context) {
	if g.Request.Method == nethttp.MethodOptions && g.Request.URL.Path == "*" {
		s.options(g, allMethods)
		return
	}
	s.refuse(g.Writer, g.Request, &transports.Refusal{Kind: transports.UnknownPath})
}

// badMethod answers what a known path does not do; gin has set Allow.
func (s *Server) badMethod(g *gin.Context) {
	allow := g.Writer.Header().Get("Allow") + ", " + nethttp.MethodOptions
	if g.Request.Method == nethttp.MethodOptions {
		s.options(g, allow)
		return
	}
	g.Writer.Header().Set("Allow", allow)
	s.refuse(g.Writer, g.Request, &transports.Refusal{Kind: transports.BadMethod})
}

func (s *Server) options(g *gin.Context, allow string) {
	g.Writer.Header().Set("Allow", allow)
	g.Writer.WriteHeader(nethttp.StatusNoContent)
	g.Writer.WriteHeaderNow()
}
