package bus

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// Bounds of a consumer that a subscriber creates. One that nobody uses for so long goes,
// with its place in its stream.
const (
	maxEphemeralIdle = 5 * time.Minute
	maxDurableIdle   = 24 * time.Hour // also where a durable one names none
	maxWaiting       = 512            // requests of a pull consumer, nats-server's own default
	maxUnacked       = 64 << 10       // messages; the server remembers each
)

// create passes a request to create a consumer on as it was understood, not as
// it was written, if the consumer delivers to an inbox: one that delivered to
// weir.up.> or to a key-value bucket would write there.
func (r *relay) create(m *nats.Msg) {
	if len(m.Data) > maxRequest {
		r.refuse(m, server.NewJSConsumerCreateError(errLargeRequest))
		return
	}
	var req server.CreateConsumerRequest
	if err := json.Unmarshal(m.Data, &req); err != nil {
		r.refuse(m, server.NewJSInvalidJSONError(err))
		return
	}
	if to := req.Config.DeliverSubject; to != "" && !strings.HasPrefix(to, nats.InboxPrefix) {
		r.refuse(m, server.NewJSConsumerInvalidDeliverSubjectError())
		return
	}
	limitConsumer(&req.Config)
	body, err := json.Marshal(&req)
	if err != nil {
		r.refuse(m, server.NewJSInvalidJSONError(err))
		return
	}
	r.ask(m, body)
}

// limitConsumer holds c to the bounds above, and has it count among its stream's.
func limitConsumer(c *server.ConsumerConfig) {
	c.Direct, c.Sourcing = false, false
	idle := maxEphemeralIdle
	if c.Durable != "" {
		idle = maxDurableIdle
		if c.InactiveThreshold == 0 {
			c.InactiveThreshold = idle
		}
	}
	c.InactiveThreshold = min(c.InactiveThreshold, idle)
	c.MaxWaiting = min(c.MaxWaiting, maxWaiting)
	if c.AckPolicy != server.AckNone && (c.MaxAckPending < 0 || c.MaxAckPending > maxUnacked) {
		c.MaxAckPending = maxUnacked
	}
}

// refuse tells a client why its consumer is not created.
func (r *relay) refuse(m *nats.Msg, why *server.ApiError) {
	answer, err := json.Marshal(server.JSApiConsumerCreateResponse{
		ApiResponse: server.ApiResponse{Type: server.JSApiConsumerCreateResponseType, Error: why},
	})
	if err == nil {
		r.respond(m, answer)
	}
}
