package transports

import (
	"time"

	"github.com/weirgate/weir/devices"
	"github.com/weirgate/weir/quota"
)

// Transport is the protocol by which a request came.
type Transport uint8

// The transports.
const (
	HTTP Transport = iota
	MQTT
	CoAP

	numTransports = iota
)

var transportNames = [numTransports]string{HTTP: "http", MQTT: "mqtt", CoAP: "coap"}

func (t Transport) String() string {
	if t < numTransports {
		return transportNames[t]
	}
	return "unknown"
}

// Origin is the transport's bit in the quota's report counters.
func (t Transport) Origin() quota.Origin { return 1 << t }

// TransportNames lists the transports whose bits are set in o, in the order of
// their constants.
func TransportNames(o quota.Origin) []string {
	names := make([]string, 0, numTransports)
	for t := range Transport(numTransports) {
		if o&t.Origin() != 0 {
			names = append(names, t.String())
		}
	}
	return names
}

// Kind is what a message is, and the last token of its subject.
type Kind uint8

// The kinds of message.
const (
	Telemetry Kind = iota
	Attributes

	numKinds = iota
)

var kindNames = [numKinds]string{Telemetry: "telemetry", Attributes: "attributes"}

func (k Kind) String() string {
	if k < numKinds {
		return kindNames[k]
	}
	return "unknown"
}

var kindTopics = [numKinds]string{Telemetry: "v1/devices/me/telemetry", Attributes: "v1/devices/me/attributes"}

// Topic is ThingsBoard's MQTT topic for messages of the kind; "" for an unknown
// one.
func (k Kind) Topic() string {
	if k < numKinds {
		return kindTopics[k]
	}
	return ""
}

// AttributesRequest stands for the topic, which ends in a number, by which MQTT
// devices ask for their attributes.
const AttributesRequest = "v1/devices/me/attributes/request"

// JSON is the Content-Type of ThingsBoard's payloads.
const JSON = "application/json"

// Message is one admitted message on its way up.
type Message struct {
	Transport Transport
	Kind      Kind
	Host      Host
	Device    *devices.Device
	Received  time.Time
	// Unpromised tells that its sender waits for no acknowledgement (MQTT QoS 0,
	// CoAP NON), so that it may be refused before those that are waited for.
	Unpromised bool
	// Payload is as the device sent it. It belongs to the transport, which may
	// reuse it as soon as Gate.Submit or Gate.Bury has returned.
	Payload []byte
}
