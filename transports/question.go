package transports

import "encoding/json"

// AttributesQuestion is the name under which Gate.Call asks for attributes.
const AttributesQuestion = "attributes"

// Question is what a service on NATS is asked about a device's attributes:
// names separated by commas, "" for none.
type Question struct {
	ClientKeys string `json:"clientKeys,omitempty"`
	SharedKeys string `json:"sharedKeys,omitempty"`
}

// JSON is the question as it is sent: {"clientKeys":"a,b","sharedKeys":"c"}, what
// is not named left out.
func (q Question) JSON() []byte {
	b, _ := json.Marshal(q) // two strings always marshal
	return b
}
