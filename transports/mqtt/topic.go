package mqtt

import "github.com/weirgate/weir/transports"

// ThingsBoard's topics of a device. They name no device: each connection has
// its own.
const (
	topicBase      = "v1/devices/me/"
	telemetryTopic = topicBase + "telemetry"
	attributeTopic = topicBase + "attributes"
	requestPrefix  = topicBase + "attributes/request/"
	responsePrefix = topicBase + "attributes/response/"
	rpcRequests    = topicBase + "rpc/request/"
	rpcResponses   = topicBase + "rpc/response/"
)

// route is where a publish goes.
type route uint8

const (
	nowhere  route = iota // acknowledged and ignored
	upward                // to the store
	question              // to a service, answered to this client alone
)

// destination is where a topic leads: the kind of message for upward and of what
// is asked for, and the request's id for question.
type destination struct {
	route route
	kind  transports.Kind
	id    string
}

// destinationOf is total: a topic nobody knows leads nowhere.
func destinationOf(topic string) destination {
	switch topic {
	case telemetryTopic:
		return destination{route: upward, kind: transports.Telemetry}
	case attributeTopic:
		return destination{route: upward, kind: transports.Attributes}
	}
	if id, ok := under(topic, requestPrefix); ok && isRequestID(id) {
		return destination{route: question, kind: transports.Attributes, id: id}
	}
	return destination{}
}

// mayRead tells whether a device may subscribe to a filter: ThingsBoard's own
// topics of that device and nothing else, no wider wildcard among them.
func mayRead(filter string) bool {
	if filter == attributeTopic {
		return true
	}
	for _, prefix := range [...]string{responsePrefix, rpcRequests, rpcResponses} {
		if last, ok := under(filter, prefix); ok {
			return last == "+" || isRequestID(last)
		}
	}
	return false
}

// under is what follows prefix in topic, if it starts with it.
func under(topic, prefix string) (string, bool) {
	if len(topic) < len(prefix) || topic[:len(prefix)] != prefix {
		return "", false
	}
	return topic[len(prefix):], true
}

// isRequestID tells whether s is a request's number as ThingsBoard has it: an
// int32, so up to ten digits.
func isRequestID(s string) bool {
	if s == "" || len(s) > 10 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
