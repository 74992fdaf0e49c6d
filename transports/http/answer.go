package http

import (
	nethttp "net/http"
	"strconv"
	"time"

	"github.com/weirgate/weir/quota"
	"github.com/weirgate/weir/transports"
)

const (
	problemJSON = "application/problem+json"

	// statusBandwidth is ThingsBoard's answer to a full quota; net/http has no
	// name for it.
	statusBandwidth = 509

	// maxUnread is the longest body that a connection may still deliver after
	// its request has been refused; with a longer one it is closed.
	maxUnread = 4 << 10
)

// reason is a status's reason phrase.
func reason(status int) string {
	if status == statusBandwidth {
		return "Bandwidth Limit Exceeded"
	}
	return nethttp.StatusText(status)
}

// refuse answers a refusal: status from the answer table, a body by profile.
func (s *Server) refuse(w nethttp.ResponseWriter, r *nethttp.Request, why *transports.Refusal) {
	c := connOf(r)
	c.said = true
	status := transports.AnswerTo(why).HTTP
	if why.Kind == transports.Internal && why.Err != nil {
		s.fault("http request failed; this is a fault of weir", "error", why.Err)
	}
	h := w.Header()
	if why.Wait > 0 {
		h["Retry-After"] = []string{strconv.Itoa(why.Wait)}
	}
	if status == nethttp.StatusUnauthorized {
		h["WWW-Authenticate"] = []string{`Bearer realm="weir"`}
	}
	s.spareBody(h, r, why)
	buf := s.buffer()
	defer s.keep(buf)
	overQuota := why.Kind == transports.QuotaExceeded || why.Kind == transports.CostTooHigh
	if overQuota && why.Profile == quota.Bandwidth {
		*buf = s.bandwidth((*buf)[:0], h, r, why)
	} else {
		h["Content-Type"] = []string{problemJSON}
		*buf = appendProblem((*buf)[:0], problemOf(status, why))
	}
	c.is509 = status == statusBandwidth
	w.WriteHeader(status)
	_, _ = w.Write(*buf) // the client is gone: nothing is left to say
}

// spareBody sees to a body that is left: one that is not worth reading for the
// sake of the connection ends it, and none is waited for as long as a body that
// was wanted. One that Shutdown has cut has no more time at all.
func (s *Server) spareBody(h nethttp.Header, r *nethttp.Request, why *transports.Refusal) {
	c := connOf(r)
	if c.req.read || r.ContentLength == 0 {
		return
	}
	if r.ContentLength < 0 || r.ContentLength > maxUnread {
		h["Connection"] = []string{"close"}
	}
	if why.Kind != transports.ShuttingDown {
		_ = c.SetReadDeadline(time.Now().Add(refusedBody)) // it fails where the client is gone
	}
}

// problemOf is the problem that a refusal is.
func problemOf(status int, why *transports.Refusal) problem {
	p := problem{status: status, title: reason(status), detail: why.Reason()}
	if why.Kind == transports.QuotaExceeded || why.Kind == transports.CostTooHigh {
		p.title, p.refusal = why.Kind.Title(), why
	}
	return p
}
