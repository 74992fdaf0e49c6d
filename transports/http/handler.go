package http

import (
	nethttp "net/http"
	"runtime/debug"

	"github.com/weirgate/weir/transports"
	"github.com/weirgate/weir/transports/listen"
)

// ServeHTTP admits a request before anything else is done about it, its path
// and body unseen, and routes it if it is admitted.
func (s *Server) ServeHTTP(w nethttp.ResponseWriter, r *nethttp.Request) {
	c := connOf(r)
	if !c.hand.CompareAndSwap(nothing, answering) {
		panic(nethttp.ErrAbortHandler) // Shutdown came first: nothing has been charged
	}
	c.said = false
	c.req = request{host: c.hostOf(r)}
	c.charge.Reset()
	if c.ambiguous(r) {
		w.Header()["Connection"] = []string{"close"}
	}
	defer s.recover(c, w, r)
	a := s.cfg.Gate.Admit(transports.HTTP, c.req.host)
	c.req.decision = a.Decision
	if a.Decision.Policy != nil {
		c.setRateLimit(w.Header())
	}
	if a.Refusal.Refused() {
		s.refuse(w, r, &a.Refusal)
		return
	}
	s.engine.ServeHTTP(w, r)
	c.said = true
}

// recover answers a panic with 500, or cuts the connection where an answer has
// begun that can no longer be trusted.
func (s *Server) recover(c *conn, w nethttp.ResponseWriter, r *nethttp.Request) {
	fault := recover()
	if fault == nil {
		return
	}
	s.panics.Add(1)
	s.fault("http handler panicked; this is a fault of weir", "panic", fault, "stack", string(debug.Stack()))
	if c.said {
		panic(nethttp.ErrAbortHandler)
	}
	s.refuse(w, r, &transports.Refusal{Kind: transports.Internal})
}

// ambiguous tells whether somebody on r's way may have seen its end elsewhere,
// so that what follows on the connection may be smuggled (RFC 9112 6.1, 11.2).
// A chunked request may have had a Content-Length too, and one of HTTP/1.0 a
// Transfer-Encoding: net/http removes what it does not go by. Devices rarely
// chunk; an HTTP/1.0 client that is no proxy has nobody but itself to deceive.
// To be called after hostOf.
func (c *conn) ambiguous(r *nethttp.Request) bool {
	return r.ContentLength < 0 || c.forwards && !r.ProtoAtLeast(1, 1)
}

// hostOf is whom r is counted for: the connection's peer, or the client that a
// trusted proxy names; the zero Host where a proxy names none.
func (c *conn) hostOf(r *nethttp.Request) transports.Host {
	if !c.settled {
		c.settle()
	}
	if !c.forwards {
		return c.host
	}
	cfg := &c.s.cfg
	client, ok := listen.Forwarded(cfg.Forwarded, r.Header[cfg.Forwarded.Header()], c.peer, cfg.TrustedProxies)
	if !ok {
		return transports.Host{}
	}
	if client != c.client {
		c.client, c.host = client, cfg.Gate.Host(client)
	}
	return c.host
}

// setRateLimit sets the fields of the host policy. They are assigned, since
// Header.Set would write Ratelimit.
func (c *conn) setRateLimit(h nethttp.Header) {
	d := c.req.decision
	if c.pk == "" || c.pkHost != c.req.host {
		c.pkHost, c.pk, c.policy = c.req.host, c.s.cfg.PartitionKeys.Host(c.req.host), nil
	}
	if c.policy != d.Policy {
		c.policy = d.Policy
		c.policyField = []string{string(transports.AppendRateLimitPolicy(nil, d.Policy, c.pk))}
	}
	var buf [128]byte
	c.limitField[0] = string(transports.AppendRateLimit(buf[:0], d, c.pk))
	h["RateLimit-Policy"] = c.policyField
	h["RateLimit"] = c.limitField[:]
}
