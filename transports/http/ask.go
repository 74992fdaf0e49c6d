package http

import (
	nethttp "net/http"

	"github.com/gin-gonic/gin"

	"github.com/weirgate/weir/devices"
	"github.com/weirgate/weir/quota"
	"github.com/weirgate/weir/transports"
)

// Bounds of questions, each of which holds its connection for
// transports.CallTimeout at most. One over them is told to come again after
// askAgain seconds.
const (
	maxAsked = 1024 // under way at once; of one device, transports.MaxAsking
	askAgain = 1
)

// askAttributes asks a service for the device's attributes and hands on its
// answer as it is.
func (s *Server) askAttributes(g *gin.Context) {
	dev, refusal := s.device(g)
	var answer []byte
	if !refusal.Refused() {
		answer, refusal = s.ask(g, dev)
	}
	if refusal.Refused() {
		s.refuse(g.Writer, g.Request, &refusal)
		return
	}
	connOf(g.Request).said = true
	g.Writer.Header()["Content-Type"] = []string{transports.JSON}
	g.Writer.WriteHeader(nethttp.StatusOK)
	_, _ = g.Writer.Write(answer) // the client is gone: nothing is left to say
}

// ask asks dev's question, if there is a place for it; one without a place is
// charged to no policy.
func (s *Server) ask(g *gin.Context, dev *devices.Device) ([]byte, transports.Refusal) {
	if !s.asking.Enter(dev) {
		return nil, transports.Refusal{
			Kind: transports.NoService, Wait: askAgain, Detail: "too many questions wait for an answer",
		}
	}
	defer s.asking.Leave(dev)
	if refusal := s.charge(g, &transports.Ask{
		Device: dev, Class: quota.Reads, Topic: transports.AttributesRequest,
	}); refusal.Refused() {
		return nil, refusal
	}
	q := transports.Question{ClientKeys: g.Query("clientKeys"), SharedKeys: g.Query("sharedKeys")}
	answer, refusal := s.cfg.Gate.Call(g.Request.Context(), dev, transports.AttributesQuestion, q.JSON())
	if refusal.Refused() && s.gaveUp() {
		refusal = transports.Refusal{Kind: transports.ShuttingDown}
	}
	return answer, refusal
}
