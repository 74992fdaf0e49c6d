package mqtt

import (
	"bytes"
	"strconv"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/weirgate/weir/transports"
)

// Reason codes of this package's own (MQTT 5 2.4): what the protocol itself
// demands. Those of refusals are transports.AnswerTo's.
const (
	noSubscribers     = 0x10
	unspecified       = 0x80 // the first that refuses
	malformedPacket   = 0x81
	protocolError     = 0x82
	unsupportedLevel  = 0x84
	clientIDInvalid   = 0x85
	badAuthMethod     = 0x8C
	keepAliveTimeout  = 0x8D
	sessionTakenOver  = 0x8E
	receiveExceeded   = 0x93
	quotaExceeded     = 0x97
	retainUnsupported = 0x9A
)

// terms are what a client allows in answers: MQTT 5's Maximum Packet Size (0:
// any) and Request Problem Information.
type terms struct {
	version   byte
	maxPacket uint32
	quiet     bool
}

// explain is what an MQTT 5 packet may say of a refusal.
func explain(r *transports.Refusal) packets.Properties {
	p := packets.Properties{ReasonString: r.Reason()}
	if r.Policy != "" {
		p.User = append(p.User, packets.UserProperty{Key: "policy", Val: r.Policy})
	}
	if r.Wait > 0 {
		p.User = append(p.User, packets.UserProperty{Key: "retry-after", Val: strconv.Itoa(r.Wait)})
	}
	return p
}

// fit encodes pk for a client: user properties and then the reason string are
// left out where it does not want them or has no room (MQTT-3.1.2-24). nil if
// not even the rest fits.
func (t terms) fit(pk packets.Packet) []byte {
	pk.ProtocolVersion = t.version
	if t.quiet {
		pk.Properties.User, pk.Properties.ReasonString = nil, ""
	}
	for {
		b := encode(&pk)
		switch {
		case t.maxPacket == 0 || len(b) <= int(t.maxPacket):
			return b
		case pk.Properties.User != nil:
			pk.Properties.User = nil
		case pk.Properties.ReasonString != "":
			pk.Properties.ReasonString = ""
		default:
			return nil
		}
	}
}

func encode(pk *packets.Packet) []byte {
	var b bytes.Buffer
	var err error
	switch pk.FixedHeader.Type {
	case packets.Connect:
		err = pk.ConnectEncode(&b)
	case packets.Connack:
		err = pk.ConnackEncode(&b)
	case packets.Puback, packets.Pubrec:
		err = pk.PubackEncode(&b)
	case packets.Suback:
		err = pk.SubackEncode(&b)
	case packets.Disconnect:
		err = pk.DisconnectEncode(&b)
	}
	if err != nil {
		return nil
	}
	return b.Bytes()
}

// header is the fixed header of a packet of some kind.
func header(kind byte) packets.FixedHeader { return packets.FixedHeader{Type: kind} }
