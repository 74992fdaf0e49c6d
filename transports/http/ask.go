package http

import (
	"encoding/json"
	nethttp "net/http"
	"sync"

	"github.com/gin-gonic/gin"

	"github.com/weirgate/weir/devices"
	"github.com/weirgate/weir/quota"
	"github.com/weirgate/weir/transports"
)

// Bounds of questions, each of which holds its connection for
// transports.CallTimeout at most. One over them is told to come again after
// askAgain seconds.
const (
	// maxAsked is how many questions are under way at once.
	maxAsked = 1024
	// maxAsking is how many of them are of one device, however many connections
	// it has, so that a service that is silent to some leaves room for others.
	maxAsking = 4
	askAgain  = 1
)

// asking is who asks how much. The zero asking needs by.
type asking struct {
	mu  sync.Mutex // guards what follows
	all int
	by  map[devices.Device]int // at most maxAsked; none is 0
}

// enter takes a place for a question of d; false if there is none.
func (a *asking) enter(d *devices.Device) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all >= maxAsked || a.by[*d] >= maxAsking {
		return false
	}
	a.all++
	a.by[*d]++
	return true
}

// leave gives it back.
func (a *asking) leave(d *devices.Device) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all--
	if a.by[*d]--; a.by[*d] == 0 {
		delete(a.by, *d)
	}
}

// question is what a service on NATS is asked.
type question struct {
	ClientKeys string `json:"clientKeys,omitempty"`
	SharedKeys string `json:"sharedKeys,omitempty"`
}

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
	if !s.asking.enter(dev) {
		return nil, transports.Refusal{
			Kind: transports.NoService, Wait: askAgain, Detail: "too many questions wait for an answer",
		}
	}
	defer s.asking.leave(dev)
	if refusal := s.charge(g, &transports.Ask{
		Device: dev, Class: quota.Reads, Topic: transports.AttributesRequest,
	}); refusal.Refused() {
		return nil, refusal
	}
	q, err := json.Marshal(question{g.Query("clientKeys"), g.Query("sharedKeys")})
	if err != nil { // two strings always marshal
		return nil, transports.Refusal{Kind: transports.Internal, Err: err}
	}
	answer, refusal := s.cfg.Gate.Call(g.Request.Context(), dev, transports.Attributes.String(), q)
	if refusal.Refused() && s.gaveUp() {
		refusal = transports.Refusal{Kind: transports.ShuttingDown}
	}
	return answer, refusal
}
