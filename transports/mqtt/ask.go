package mqtt

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/weirgate/weir/transports"
)

// Bounds of questions. A question over one of them is dropped and counted: it
// gets no answer, as where no service listens.
const (
	askers      = 32      // questions asked at once
	maxWaiting  = 256     // questions that wait for an asker
	maxAsking   = 4       // questions of one connection under way
	maxQuestion = 4 << 10 // bytes of a question; over it, a bad payload
)

// inquiry is a device's question on its way to a service.
type inquiry struct {
	conn    *conn
	id      string
	payload []byte
}

// ask sends a device's question to whoever answers on NATS. The publish is
// acknowledged at once; the answer is a publish of its own.
func (c *conn) ask(id string, payload []byte, tag uint64) {
	if problem := badQuestion(payload); problem != "" {
		c.fail(tag, &transports.Refusal{Kind: transports.BadPayload, Detail: problem})
		return
	}
	if c.asking.Add(1) > maxAsking || !c.srv.inquire(inquiry{c, strings.Clone(id), bytes.Clone(payload)}) {
		c.asking.Add(-1)
		c.srv.counts.dropped.Add(1)
	}
	c.settle(tag, ack{})
}

func badQuestion(payload []byte) string {
	switch {
	case len(payload) > maxQuestion:
		return "the request is longer than 4096 bytes"
	case !json.Valid(payload) || bytes.TrimLeft(payload, " \t\r\n")[0] != '{':
		return "expected a JSON object with clientKeys or sharedKeys"
	}
	return ""
}

// inquire queues a question; false if there is no room.
func (s *Server) inquire(q inquiry) bool {
	select {
	case s.questions <- q:
		return true
	default:
		return false
	}
}

// answerQuestions is one asker.
func (s *Server) answerQuestions(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case q := <-s.questions:
			s.answer(ctx, q)
		}
	}
}

func (s *Server) answer(ctx context.Context, q inquiry) {
	defer q.conn.asking.Add(-1)
	defer s.contain()
	reply, r := s.cfg.Gate.Call(ctx, q.conn.device, "attributes", q.payload)
	if r.Refused() || !q.conn.deliver(q.id, reply) {
		s.counts.dropped.Add(1)
	}
}

// deliver sends the answer to request id to this client alone, if it subscribed
// to it.
func (c *conn) deliver(id string, answer []byte) bool {
	topic := responsePrefix + id
	sub, ok := c.mochi.State.Subscriptions.Get(topic)
	if !ok {
		sub, ok = c.mochi.State.Subscriptions.Get(responsePrefix + "+")
	}
	if !ok {
		return false
	}
	pk := packets.Packet{FixedHeader: header(packets.Publish), TopicName: topic, Payload: answer}
	if sub.Identifier > 0 {
		pk.Properties.SubscriptionIdentifier = []int{sub.Identifier}
	}
	return c.mochi.WritePacket(pk) == nil
}
