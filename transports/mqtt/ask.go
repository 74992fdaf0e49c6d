package mqtt

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/weirgate/weir/transports"
)

// Bounds of questions.
const (
	// maxAsked is how many are under way at once, each a goroutine for
	// transports.CallTimeout at most: some 12 MiB. One over it, or over
	// transports.MaxAsking of its device, is dropped and counted: it gets no
	// answer, as where no service listens.
	maxAsked    = 1024
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
func (c *conn) ask(to destination, payload []byte, tag uint64) {
	if problem := badQuestion(payload); problem != "" {
		c.decline(to, payload, tag, &transports.Refusal{Kind: transports.BadPayload, Detail: problem})
		return
	}
	if c.srv.asking.Enter(c.device) {
		c.inquire(&inquiry{c, strings.Clone(to.id), bytes.Clone(payload)})
	} else {
		c.srv.counts.dropped.Add(1)
	}
	c.settle(tag, ack{})
}

// inquire asks a question that has its place. It is given up when the connection
// ends.
func (c *conn) inquire(q *inquiry) {
	ctx, giveUp := context.WithCancel(context.Background())
	c.mu.Lock()
	if c.asked == nil {
		c.asked = make(map[*inquiry]context.CancelFunc)
	}
	c.asked[q] = giveUp
	if c.dead {
		giveUp()
	}
	c.mu.Unlock()
	c.srv.questions.Go(func() {
		defer c.forgetQuestion(q)
		defer giveUp()
		c.srv.answer(ctx, q)
	})
}

// forgetQuestion makes room for another question.
func (c *conn) forgetQuestion(q *inquiry) {
	c.srv.asking.Leave(c.device)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.asked, q)
	if len(c.asked) == 0 {
		c.asked = nil // most clients ask once
	}
	c.room.Signal()
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

// answer asks a question and sends its answer.
func (s *Server) answer(ctx context.Context, q *inquiry) {
	defer s.contain()
	reply, r := s.cfg.Gate.Call(ctx, q.conn.device, transports.AttributesQuestion, q.payload)
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
