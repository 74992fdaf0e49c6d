package mqtt

import (
	"crypto/rand"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/weirgate/weir/quota"
	"github.com/weirgate/weir/transports"
)

// greeting is what CONNACK tells besides what mochi says.
type greeting struct {
	assigned  string // client identifier; "" if the client gave one
	keepAlive uint16 // Server Keep Alive; 0: the client's own is in force
}

// connect reads and judges a client's first packet. true means that it may
// begin its session, and that mochi will read its CONNECT; false that it was
// answered.
func (c *conn) connect() bool {
	f, ok := c.firstFrame()
	if !ok {
		return false
	}
	pk := packets.Packet{FixedHeader: header(packets.Connect)}
	err := pk.ConnectDecode(f.body)
	c.mu.Lock()
	c.terms = termsOf(&pk) // Shutdown may be about to say goodbye
	c.mu.Unlock()
	code := illegalLevel(&pk)
	if code == 0 && err != nil {
		code = malformedPacket
	}
	if refusal := &c.charge.refusal; refusal.Refused() && code == 0 {
		return c.turnAway(refusal)
	}
	if code == 0 {
		code = illegalConnect(&pk)
	}
	if code != 0 {
		return c.turnBack(code)
	}
	c.charge = charge{}
	if r := c.welcome(&pk); r.Refused() {
		return c.turnAway(&r)
	}
	return true
}

// firstFrame reads CONNECT, charging it at its first byte. Whatever else comes
// first, or is longer than maxConnect, is closed without a word.
func (c *conn) firstFrame() (frame, bool) {
	if !c.allow(connectLimit) {
		return frame{}, false
	}
	total := 0
	for {
		if b := c.in.unread(); len(b) > 0 {
			c.chargeConnect()
			s, st := sizeOf(b)
			switch {
			case b[0] != packets.Connect<<4, st == broken, s.total > min(maxConnect, c.srv.cfg.MaxPacket):
				c.srv.counts.malformed.Add(1)
				return frame{}, false
			case st == sized && len(b) >= s.total:
				return c.in.take(s), true
			}
			total = s.total
		}
		n, err := c.sock.Read(c.in.space(total))
		c.in.w += n
		if n == 0 && err != nil {
			return frame{}, false
		}
	}
}

// allow gives the client some time to send; false if there is none left.
func (c *conn) allow(d time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead || c.leaving {
		return false
	}
	_ = c.sock.SetReadDeadline(time.Now().Add(d))
	return true
}

// chargeConnect finds out whose connection this is, now that its first byte and
// what a proxy sent ahead are read, and charges it.
func (c *conn) chargeConnect() {
	if c.charge.done {
		return
	}
	c.charge.done = true
	if addr, ok := c.srv.cfg.RemoteAddr(c.sock); ok {
		c.host = c.srv.cfg.Gate.Host(addr)
	}
	c.charge.refusal = c.srv.cfg.Gate.Admit(transports.MQTT, c.host).Refusal
}

// termsOf is what CONNECT says of the answers it may get. A level nobody knows
// is answered as its nearest is.
func termsOf(pk *packets.Packet) terms {
	if pk.ProtocolVersion < 5 {
		return terms{version: 4}
	}
	p := &pk.Properties
	return terms{5, p.MaximumPacketSize, p.RequestProblemInfoFlag && p.RequestProblemInfo == 0}
}

// illegalLevel is 0 for MQTT 3.1.1 and 5, else why not.
func illegalLevel(pk *packets.Packet) byte {
	switch name := string(pk.Connect.ProtocolName); {
	case name == "MQTT" && (pk.ProtocolVersion == 4 || pk.ProtocolVersion == 5):
		return 0
	case name == "MQTT" || name == "MQIsdp":
		return unsupportedLevel
	}
	return protocolError
}

// illegalConnect is 0 for a CONNECT that the protocol allows, else the reason
// code that says why it does not. A will is judged, though it will be forgotten.
func illegalConnect(pk *packets.Packet) byte {
	co, five := &pk.Connect, pk.ProtocolVersion == 5
	switch {
	case pk.ReservedBit != 0, co.PasswordFlag && !co.UsernameFlag && !five, !utf8.Valid(co.Username):
		return malformedPacket
	case five && pk.Properties.AuthenticationMethod != "":
		return badAuthMethod
	case len(co.ClientIdentifier) > maxClientID, co.ClientIdentifier == "" && !five && !co.Clean:
		return clientIDInvalid
	}
	return illegalWill(co, five)
}

func illegalWill(co *packets.ConnectParams, five bool) byte {
	switch {
	case !co.WillFlag && (co.WillQos != 0 || co.WillRetain), co.WillQos > 2:
		return malformedPacket
	case co.WillFlag && co.WillTopic == "":
		return malformedPacket
	case co.WillRetain && five:
		return retainUnsupported
	}
	return 0
}

// turnAway answers a CONNECT that is refused.
func (c *conn) turnAway(r *transports.Refusal) bool {
	return c.connack(c.answer(r).Connack, explain(r))
}

// turnBack answers a CONNECT that breaks the protocol; MQTT 3.1.1 has return
// codes for two of the reasons, and is closed for the others.
func (c *conn) turnBack(code byte) bool {
	c.srv.counts.malformed.Add(1)
	if c.terms.version != 5 {
		code = map[byte]byte{unsupportedLevel: 1, clientIDInvalid: 2}[code]
	}
	if code == 0 {
		return false
	}
	return c.connack(code, packets.Properties{})
}

// connack refuses; the connection then ends. It returns false.
func (c *conn) connack(code byte, p packets.Properties) bool {
	_ = c.send(c.terms.fit(packets.Packet{
		FixedHeader: header(packets.Connack), ReasonCode: code, Properties: p,
	}))
	return false
}

// welcome finds out who the client is and makes it its session's connection.
func (c *conn) welcome(pk *packets.Packet) transports.Refusal {
	cfg := &c.srv.cfg
	device, r := cfg.Gate.Identify(tokenOf(&pk.Connect, cfg.Naming))
	switch {
	case r.Refused():
		return r
	case device == nil:
		return transports.Refusal{Kind: transports.BadCredentials}
	case !transports.Addressable(device):
		return transports.Refusal{Kind: transports.NameTooLong, Detail: "the device's name is too long for a NATS subject"}
	}
	c.device, c.client, c.at = device, strings.Clone(pk.Connect.ClientIdentifier), cfg.Now()
	if c.client == "" {
		c.client = rand.Text()
		c.greet.assigned = c.client
	}
	if r := c.limit(quota.Connects, 1, ""); r.Refused() {
		return r
	}
	c.setKeepAlive(pk.Connect.Keepalive)
	name := sessionName(device, c.client)
	c.pass = rewritten(pk, name)
	return c.srv.enter(c, name, pk.Connect.Clean)
}

// tokenOf is the token that a CONNECT carries, "" if none. It is a copy.
func tokenOf(co *packets.ConnectParams, n Naming) string {
	if len(co.Username) > 0 {
		return string(co.Username)
	}
	if n == UserNameOrClientID {
		return strings.Clone(co.ClientIdentifier)
	}
	return ""
}

// setKeepAlive makes the client's keep alive, in seconds, the read deadline: one
// and a half of it (MQTT 5 3.1.2.10).
func (c *conn) setKeepAlive(seconds uint16) {
	if seconds == 0 {
		seconds = uint16(idleKeepAlive / time.Second)
		c.greet.keepAlive = seconds
	}
	c.keepAlive = time.Duration(seconds) * time.Second * 3 / 2
}

// rewritten is the CONNECT that mochi reads: of the session's name instead of
// the client's identifier, and without token, password and will.
func rewritten(pk *packets.Packet, name string) []byte {
	p := &pk.Properties
	out := packets.Packet{
		FixedHeader:     header(packets.Connect),
		ProtocolVersion: pk.ProtocolVersion,
		Connect: packets.ConnectParams{
			ProtocolName: []byte("MQTT"), Clean: pk.Connect.Clean,
			Keepalive: pk.Connect.Keepalive, ClientIdentifier: name,
		},
		Properties: packets.Properties{
			SessionExpiryInterval: p.SessionExpiryInterval, SessionExpiryIntervalFlag: p.SessionExpiryIntervalFlag,
			RequestProblemInfo: p.RequestProblemInfo, RequestProblemInfoFlag: p.RequestProblemInfoFlag,
			MaximumPacketSize: p.MaximumPacketSize,
		},
	}
	return encode(&out)
}
