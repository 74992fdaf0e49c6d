package mqtt

import (
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/weirgate/weir/quota"
	"github.com/weirgate/weir/transports"
)

// handle handles one whole packet; r is how it was refused, if it was.
func (c *conn) handle(f frame, r *transports.Refusal) error {
	switch f.kind() {
	case packets.Publish:
		return c.publish(f, r)
	case packets.Pubrel:
		return c.pubrel(f)
	case packets.Puback, packets.Pubrec, packets.Pubcomp:
		// Nothing is sent that they could acknowledge.
		return c.chargeAck()
	case packets.Subscribe, packets.Unsubscribe, packets.Pingreq, packets.Disconnect:
		return c.hand(f, r)
	}
	return c.violation(protocolError)
}

// hand leaves a packet to mochi; a refused SUBSCRIBE is answered here, and what
// else is refused and did not end the connection is handled as if it was not.
func (c *conn) hand(f frame, r *transports.Refusal) error {
	if crowded(f, c.terms.version) {
		return c.end(ending{
			code: quotaExceeded, why: "too many filters",
			props: packets.Properties{ReasonString: "a packet may carry 64 topic filters"},
		})
	}
	if !wellFormed(f, c.terms.version) {
		return c.malformed()
	}
	if !r.Refused() && f.kind() != packets.Disconnect {
		if *r = c.limit(quota.Total, 1, ""); r.Refused() {
			if reply := c.reply(f.head, r); reply.Act == transports.Close {
				return c.end(ending{reply.Code, explain(r), r.Kind.Title()})
			}
		}
	}
	if r.Refused() && f.kind() == packets.Subscribe {
		return c.denySubscribe(f, r)
	}
	c.pass = f.all
	return nil
}

func (c *conn) denySubscribe(f frame, r *transports.Refusal) error {
	pk := packets.Packet{ProtocolVersion: c.terms.version, FixedHeader: header(packets.Subscribe)}
	if pk.SubscribeDecode(f.body) != nil || len(pk.Filters) == 0 || pk.PacketID == 0 {
		return c.malformed()
	}
	codes := make([]byte, len(pk.Filters))
	for i := range codes {
		codes[i] = c.answer(r).Subscribe.Code
	}
	return c.send(c.terms.fit(packets.Packet{
		FixedHeader: header(packets.Suback), PacketID: pk.PacketID,
		ReasonCodes: codes, Properties: explain(r),
	}))
}

// send sends a packet with the next ones.
func (c *conn) send(b []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return errEnded
	}
	c.put(b)
	return nil
}

// chargeAck charges an acknowledgement of nothing: those of packets in flight
// are free, and only those.
func (c *conn) chargeAck() error {
	r := c.srv.cfg.Gate.Admit(transports.MQTT, c.host).Refusal
	if !r.Refused() {
		r = c.limit(quota.Total, 1, "")
	}
	if !r.Refused() {
		return nil
	}
	if reply := c.answer(&r).Other; reply.Act == transports.Close {
		return c.end(ending{reply.Code, explain(&r), r.Kind.Title()})
	}
	return nil
}

// pubrel releases a QoS 2 message (MQTT 5 4.3.3).
func (c *conn) pubrel(f frame) error {
	pk := packets.Packet{ProtocolVersion: c.terms.version}
	pk.FixedHeader.Remaining = len(f.body)
	if pk.FixedHeader.Decode(f.head) != nil || pk.PubrelDecode(f.body) != nil {
		return c.malformed()
	}
	done := ack{id: pk.PacketID, kind: packets.Pubcomp}
	if c.session.release(pk.PacketID) {
		c.mu.Lock()
		c.released()
		c.mu.Unlock()
	} else {
		if err := c.chargeAck(); err != nil {
			return err
		}
		if c.terms.version == 5 {
			done.code = packets.ErrPacketIdentifierNotFound.Code
		}
	}
	return c.send(done.append(nil))
}
