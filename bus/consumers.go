package bus

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// consumerTimeout is how long JetStream may take to create a consumer.
const consumerTimeout = 5 * time.Second

// gateConsumers lets subscribers of the embedded server create consumers that
// deliver to themselves, and no others: a consumer that delivered to weir.up.>
// or to a key-value bucket would write there.
func gateConsumers(gateway *nats.Conn) error {
	_, err := gateway.Subscribe(consumerGate+">", func(m *nats.Msg) {
		_ = m.Respond(createConsumer(gateway, m))
	})
	return err
}

// createConsumer passes a request on as it was understood, not as it was
// written, and returns JetStream's answer.
func createConsumer(gateway *nats.Conn, m *nats.Msg) []byte {
	var req server.CreateConsumerRequest
	if err := json.Unmarshal(m.Data, &req); err != nil {
		return consumerRefusal(server.NewJSInvalidJSONError(err))
	}
	if to := req.Config.DeliverSubject; to != "" && !strings.HasPrefix(to, nats.InboxPrefix) {
		return consumerRefusal(server.NewJSConsumerInvalidDeliverSubjectError())
	}
	body, err := json.Marshal(&req)
	if err != nil {
		return consumerRefusal(server.NewJSInvalidJSONError(err))
	}
	subject := consumerAPI + strings.TrimPrefix(m.Subject, consumerGate)
	answer, err := gateway.Request(subject, body, consumerTimeout)
	if err != nil {
		return consumerRefusal(server.NewJSClusterNotAvailError())
	}
	return answer.Data
}

func consumerRefusal(why *server.ApiError) []byte {
	answer, err := json.Marshal(server.JSApiConsumerCreateResponse{
		ApiResponse: server.ApiResponse{Type: server.JSApiConsumerCreateResponseType, Error: why},
	})
	if err != nil {
		return nil
	}
	return answer
}
