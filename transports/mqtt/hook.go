package mqtt

import (
	"errors"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// hook is where mochi asks. It never sees a PUBLISH.
type hook struct{ mochi.HookBase }

func (*hook) ID() string { return "weir" }

// Provides names the questions that hook answers.
func (*hook) Provides(b byte) bool {
	switch b {
	case mochi.OnConnectAuthenticate, mochi.OnACLCheck, mochi.OnSubscribe, mochi.OnUnsubscribe,
		mochi.OnPacketEncode, mochi.OnSessionEstablish, mochi.OnSessionEstablished, mochi.OnDisconnect:
		return true
	}
	return false
}

// connOf is the connection of a client; mochi has no others.
func connOf(cl *mochi.Client) *conn { return cl.Net.Conn.(*conn) }

// OnConnectAuthenticate lets everybody in: the door was at connect.
func (*hook) OnConnectAuthenticate(*mochi.Client, packets.Packet) bool { return true }

// OnACLCheck says whether a client may subscribe.
func (*hook) OnACLCheck(cl *mochi.Client, filter string, write bool) bool {
	if write || !mayRead(filter) {
		return false
	}
	_, has := cl.State.Subscriptions.Get(filter)
	return has || cl.State.Subscriptions.Len() < maxSubscriptions
}

// OnSubscribe grants QoS 0: an answer is as good as its connection, and a
// device that lost one asks again. What the client said about its SUBSCRIBE is
// not echoed.
func (*hook) OnSubscribe(_ *mochi.Client, pk packets.Packet) packets.Packet {
	for i := range pk.Filters {
		pk.Filters[i].Qos = 0
	}
	pk.Properties.User = nil
	return pk
}

// OnUnsubscribe echoes nothing either.
func (*hook) OnUnsubscribe(_ *mochi.Client, pk packets.Packet) packets.Packet {
	pk.Properties.User = nil
	return pk
}

// OnPacketEncode completes CONNACK, keeps SUBACK to codes the protocol knows,
// and keeps DISCONNECT from MQTT 3.1.1, where only clients send it.
func (*hook) OnPacketEncode(cl *mochi.Client, pk packets.Packet) packets.Packet {
	c := connOf(cl)
	switch pk.FixedHeader.Type {
	case packets.Connack:
		c.announce(&pk.Properties)
		pk.SessionPresent = c.resumed && pk.ReasonCode == 0
	case packets.Suback:
		for i, code := range pk.ReasonCodes {
			if code == protocolError {
				pk.ReasonCodes[i] = packets.ErrNotAuthorized.Code
			}
		}
	case packets.Disconnect:
		if c.terms.version != 5 {
			pk.FixedHeader.Type = packets.Reserved // mochi then writes nothing
		}
	}
	return pk
}

// announce tells a client the limits that hold for it (MQTT 5 3.2.2.3).
func (c *conn) announce(p *packets.Properties) {
	p.AssignedClientID = c.greet.assigned
	if c.greet.keepAlive > 0 {
		p.ServerKeepAlive, p.ServerKeepAliveFlag = c.greet.keepAlive, true
	}
	p.ReceiveMaximum = receiveMaximum
	p.TopicAliasMaximum = aliasMaximum
	p.MaximumPacketSize = uint32(c.srv.cfg.MaxPacket)
	p.RetainAvailable, p.RetainAvailableFlag = 0, true
	p.SharedSubAvailable, p.SharedSubAvailableFlag = 0, true
	p.WildcardSubAvailable, p.WildcardSubAvailableFlag = 1, true
	p.SubIDAvailable, p.SubIDAvailableFlag = 1, true
}

// OnSessionEstablish is before CONNACK, and where mochi would look for a session
// of its own.
func (*hook) OnSessionEstablish(cl *mochi.Client, _ packets.Packet) {
	c := connOf(cl)
	c.mochi = cl
	c.resume()
}

// OnSessionEstablished is after CONNACK.
func (*hook) OnSessionEstablished(cl *mochi.Client, _ packets.Packet) {
	c := connOf(cl)
	c.present = true
	c.srv.cfg.Presence.Connected(c.event())
}

// OnDisconnect finds out how long the session is to outlive the connection, and
// why that ended where only mochi knows.
func (*hook) OnDisconnect(cl *mochi.Client, err error, expire bool) {
	c := connOf(cl)
	switch {
	case expire:
	case c.terms.version == 5:
		c.keepFor = time.Duration(cl.Properties.Props.SessionExpiryInterval) * time.Second
	default:
		c.keepFor = maxSessionExpiry
	}
	var code packets.Code
	switch {
	case err == nil:
		c.because("client disconnected")
	case errors.As(err, &code) && code.Code == packets.CodeDisconnectWillMessage.Code:
		c.because("client disconnected")
	case errors.As(err, &code):
		c.srv.counts.malformed.Add(1)
		c.because("protocol error")
	}
}

// because notes why the connection ended, unless that is known.
func (c *conn) because(why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.why == "" {
		c.why = why
	}
}

// event is the session as Presence is told it.
func (c *conn) event() Session {
	return Session{Device: c.device, ClientID: c.client, Host: c.host, Version: c.terms.version, At: c.at}
}
