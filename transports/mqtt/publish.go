package mqtt

import (
	"strings"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/weirgate/weir/transports"
)

// nobodysTag is the tag of a QoS 0 message, which nobody waits for.
const nobodysTag = 1<<64 - 1

// publish handles a PUBLISH; r is how it was refused, if it was.
func (c *conn) publish(f frame, r *transports.Refusal) error {
	pk := &c.pk
	*pk = packets.Packet{ProtocolVersion: c.terms.version}
	if pk.FixedHeader.Decode(f.head) != nil || pk.PublishDecode(f.body) != nil {
		return c.malformed()
	}
	if code := c.lawful(pk); code != 0 {
		return c.violation(code)
	}
	c.srv.counts.qos[pk.FixedHeader.Qos].Add(1)
	tag, isNew, err := c.owe(pk)
	switch {
	case err != nil || !isNew:
		return err
	case !r.Refused():
		*r = c.limitPublish(pk.TopicName, pk.Payload)
	}
	if r.Refused() {
		c.decline(destinationOf(pk.TopicName), pk.Payload, tag, r)
		return nil
	}
	c.take(pk, tag)
	return nil
}

// lawful is 0 for a PUBLISH that the protocol allows, whose topic alias it
// resolves, and else the reason code that says why it does not.
func (c *conn) lawful(pk *packets.Packet) byte {
	code := pk.PublishValidate(aliasMaximum)
	switch {
	case code != packets.CodeSuccess:
		return code.Code
	case c.terms.version != 5:
		return 0
	case pk.FixedHeader.Retain:
		return retainUnsupported
	case !pk.Properties.TopicAliasFlag:
		return 0
	}
	alias := pk.Properties.TopicAlias
	if pk.TopicName == "" {
		pk.TopicName = c.aliases[alias]
		if pk.TopicName == "" {
			return protocolError
		}
		return 0
	}
	if c.aliases == nil {
		c.aliases = make(map[uint16]string)
	}
	if name := memorable(pk.TopicName); c.aliases[alias] != name {
		c.aliases[alias] = strings.Clone(name)
	}
	return 0
}

// memorable is what is kept of a topic: one longer than any that leads somewhere
// takes no memory.
func memorable(topic string) string {
	if len(topic) > 64 {
		return "elsewhere"
	}
	return topic
}

// owe gives a PUBLISH its place among the acknowledgements. It is not new if it
// is a QoS 2 message that came before.
func (c *conn) owe(pk *packets.Packet) (tag uint64, isNew bool, err error) {
	if pk.FixedHeader.Qos == 0 {
		return nobodysTag, true, nil
	}
	if err := c.roomForOne(pk); err != nil {
		return 0, false, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	push := func() uint64 { return c.acks.push(ack{id: pk.PacketID, kind: ackKind(pk.FixedHeader.Qos)}) }
	if pk.FixedHeader.Qos == 1 {
		return push(), true, nil
	}
	came, tag := c.session.arrive(pk.PacketID, c, push)
	switch came {
	case fresh:
		c.unreleased++
	case repeated:
		c.pay(tag, ack{})
	}
	return tag, came == fresh, nil
}

// roomForOne keeps what is owed to a client at receiveMaximum. MQTT 5 was told
// of it, and what it sends beyond ends it; a QoS 2 message sent again is not
// beyond. All others wait: MQTT 3.1.1 knows no such bound.
func (c *conn) roomForOne(pk *packets.Packet) error {
	again := pk.FixedHeader.Qos == 2 && c.session.has(pk.PacketID)
	c.mu.Lock()
	beyond := c.terms.version == 5 && !again && c.acks.pubacks+c.unreleased >= receiveMaximum
	for !beyond && c.acks.n >= receiveMaximum && !c.dead {
		c.flush()
		c.room.Wait()
	}
	dead := c.dead
	c.mu.Unlock()
	switch {
	case dead:
		return errEnded
	case beyond:
		return c.violation(receiveExceeded)
	}
	return nil
}

// released is one QoS 2 message less in a client's window, be it an earlier
// connection's: so MQTT 5 counts (4.9). mu is held.
func (c *conn) released() { c.unreleased = max(0, c.unreleased-1) }

// take sends an admitted PUBLISH where its topic leads.
func (c *conn) take(pk *packets.Packet, tag uint64) {
	to := destinationOf(pk.TopicName)
	switch to.route {
	case upward:
		c.submit(to.kind, pk.Payload, tag)
	case question:
		c.ask(to, pk.Payload, tag)
	default:
		c.settle(tag, ack{code: c.ifV5(noSubscribers)})
	}
}

// ifV5 is a reason code, which MQTT 3.1.1 has none of.
func (c *conn) ifV5(code byte) byte {
	if c.terms.version == 5 {
		return code
	}
	return 0
}

func (c *conn) submit(kind transports.Kind, payload []byte, tag uint64) {
	c.compose(kind, payload, tag)
	r := c.srv.cfg.Gate.Submit(&c.msg, c, tag)
	if r.Refused() {
		c.decline(destination{route: upward, kind: kind}, payload, tag, &r)
	}
}

// compose makes msg a message of this client, with the tag it is owed under.
func (c *conn) compose(kind transports.Kind, payload []byte, tag uint64) {
	c.msg = transports.Message{
		Transport: transports.MQTT, Kind: kind, Host: c.host, Device: c.device, Payload: payload,
		Unpromised: tag == nobodysTag,
	}
}

// decline answers a publish that is refused while its payload is at hand: where
// the sender cannot be told, that is kept.
func (c *conn) decline(to destination, payload []byte, tag uint64, r *transports.Refusal) {
	switch {
	case c.replyTo(tag, r).Act != transports.Bury:
		c.fail(tag, r)
	case to.route == nowhere:
		c.settle(tag, ack{})
	default:
		c.compose(to.kind, payload, tag)
		if not := c.srv.cfg.Gate.Bury(&c.msg, r, c, tag); not.Refused() {
			c.fail(tag, &not)
		}
	}
}

// replyTo is what becomes of a refused publish.
func (c *conn) replyTo(tag uint64, r *transports.Refusal) transports.MQTTReply {
	if tag == nobodysTag {
		return c.answer(r).Publish0
	}
	return c.answer(r).Publish
}

// Complete is how the store says what became of a message. It does not block;
// what it owes the client leaves with the next Flush.
func (c *conn) Complete(tag uint64, err error) {
	if err == nil {
		c.settle(tag, ack{})
		return
	}
	r := c.srv.cfg.Gate.Fault(err)
	c.fail(tag, &r)
}

// fail answers a publish that was neither stored nor kept. It acknowledges only
// with a code that says so; where there is none, the connection ends.
func (c *conn) fail(tag uint64, r *transports.Refusal) {
	if tag == nobodysTag {
		c.srv.counts.dropped.Add(1)
	}
	reply := c.replyTo(tag, r)
	switch {
	case reply.Act == transports.Say:
		c.settle(tag, c.saying(tag, reply.Code, r))
		return
	case tag == nobodysTag && (reply.Act == transports.Drop || reply.Act == transports.Accept):
		return
	case reply.Act != transports.Close:
		reply.Code = unspecified
	}
	heir := c.abandon(tag)
	_ = c.end(ending{reply.Code, explain(r), r.Kind.Title()})
	if heir.owner != nil && heir.owner != c {
		heir.owner.fail(heir.tag, r) // it was sent again on a newer connection
	}
}

// saying is an acknowledgement that says why.
func (c *conn) saying(tag uint64, code byte, r *transports.Refusal) ack {
	c.mu.Lock()
	var owed ack
	if a := c.acks.owed(tag); a != nil {
		owed = *a
	}
	c.mu.Unlock()
	return ack{code: code, full: c.terms.fit(packets.Packet{
		FixedHeader: header(owed.kind), PacketID: owed.id, ReasonCode: code, Properties: explain(r),
	})}
}

// settle acknowledges what a tag stands for, when its turn has come.
func (c *conn) settle(tag uint64, with ack) {
	if tag == nobodysTag {
		return
	}
	c.mu.Lock()
	owed := c.acks.owed(tag)
	if owed == nil {
		c.mu.Unlock()
		return
	}
	var heir receipt
	if owed.kind == packets.Pubrec {
		ok := with.code < unspecified
		heir = c.session.conclude(owed.id, ok)
		if !ok {
			c.released() // there will be no PUBREL
		}
	}
	c.pay(tag, with)
	c.mu.Unlock()
	if heir.owner != nil && heir.owner != c {
		heir.owner.settle(heir.tag, with) // it was sent again on a newer connection
	}
}

// pay marks what a tag stands for as done and queues what may leave now; mu is
// held.
func (c *conn) pay(tag uint64, with ack) {
	a := c.acks.owed(tag)
	a.done, a.code, a.full = true, with.code, with.full
	before := c.acks.n
	b := c.acks.pop(c.out)
	if c.acks.n < before {
		c.room.Signal()
	}
	if c.dead {
		return
	}
	c.keep(b)
	if !c.dirty {
		c.dirty = true
		c.srv.dirty.add(c)
	}
}

// abandon gives up a message that will not be stored on this connection, so that
// it counts as new when it is sent again. It returns who else waits for it.
func (c *conn) abandon(tag uint64) receipt {
	c.mu.Lock()
	defer c.mu.Unlock()
	if owed := c.acks.owed(tag); owed != nil && owed.kind == packets.Pubrec {
		return c.session.conclude(owed.id, false)
	}
	return receipt{}
}
