package coap

import (
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/weirgate/weir/devices"
	"github.com/weirgate/weir/quota"
	"github.com/weirgate/weir/transports"
)

// limit charges the request in hand to the policies after identity.
func (f *front) limit(host transports.Host, device *devices.Device) transports.Refusal {
	ask := transports.Ask{Transport: transports.CoAP, Host: host, Device: device, Class: quota.Total}
	switch r := &f.req; {
	case r.resource == nothing:
	case r.code() == codes.POST:
		kind := r.messageKind()
		ask.Class, ask.Cost, ask.Topic = quota.Messages, transports.Messages(kind, r.payload), kind.Topic()
	case r.code() == codes.GET:
		ask.Class, ask.Topic = quota.Reads, transports.AttributesRequest
	}
	return f.s.cfg.Gate.Charge(&f.charge, &ask)
}

// messageKind is what a POST to the resource sends.
func (r *request) messageKind() transports.Kind {
	if r.resource == attributes {
		return transports.Attributes
	}
	return transports.Telemetry
}
