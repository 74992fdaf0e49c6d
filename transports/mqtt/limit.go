package mqtt

import (
	"github.com/weirgate/weir/quota"
	"github.com/weirgate/weir/transports"
)

// limit charges a packet of the session to the policies after identity.
func (c *conn) limit(class quota.Class, cost int, topic string) transports.Refusal {
	client := c.client
	if c.greet.assigned != "" { // a name of ours would be a new budget each time
		client = ""
	}
	return c.srv.cfg.Gate.Charge(&c.standing, &transports.Ask{
		Transport: transports.MQTT, Host: c.host, Device: c.device, ClientID: client,
		Class: class, Cost: cost, Topic: topic,
	})
}

// limitPublish is limit for a PUBLISH, by where its topic leads.
func (c *conn) limitPublish(topic string, payload []byte) transports.Refusal {
	switch to := destinationOf(topic); to.route {
	case upward:
		return c.limit(quota.Messages, transports.Messages(to.kind, payload), topic)
	case question:
		return c.limit(quota.Reads, 1, transports.AttributesRequest)
	}
	return c.limit(quota.Total, 1, topic)
}
