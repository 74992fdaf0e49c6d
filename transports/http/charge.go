package http

import (
	"github.com/gin-gonic/gin"

	"github.com/weirgate/weir/transports"
)

// charge charges a request to the policies after identity, and sets their
// fields beside the host's.
func (s *Server) charge(g *gin.Context, ask *transports.Ask) transports.Refusal {
	c := connOf(g.Request)
	ask.Transport, ask.Host, ask.Headers = transports.HTTP, c.req.host, c
	c.header = g.Request.Header
	refusal := s.cfg.Gate.Charge(&c.charge, ask)
	if len(c.charge.Limits()) == 0 {
		return refusal
	}
	h, pks := g.Writer.Header(), s.cfg.PartitionKeys
	add := func(name string, more func([]byte, *transports.Charge) []byte) {
		var field []byte
		if before := h[name]; len(before) > 0 {
			field = append(field, before[0]...)
		}
		h[name] = []string{string(more(field, &c.charge))}
	}
	add("RateLimit-Policy", pks.AppendRateLimitPolicies)
	add("RateLimit", pks.AppendRateLimits)
	return refusal
}
