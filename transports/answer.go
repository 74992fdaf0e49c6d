package transports

import "github.com/weirgate/weir/quota"

// Answer is how a Refusal is said in each protocol.
type Answer struct {
	HTTP  int        // status code
	CoAP  byte       // response code (RFC 7252 12.1.2)
	MQTT5 MQTTAnswer // MQTT 5
	MQTT3 MQTTAnswer // MQTT 3.1.1
}

// MQTTAct is what a live session does about a refused packet.
type MQTTAct uint8

// The acts.
const (
	// Accept handles the packet as if it had been taken: it is acknowledged
	// with success, a PINGREQ is answered, and nothing is stored upwards.
	Accept MQTTAct = iota
	// Drop forgets the packet without a word.
	Drop
	// Say puts the code into the packet's own acknowledgement (PUBACK, PUBREC,
	// SUBACK, UNSUBACK).
	Say
	// Close ends the session; over MQTT 5 a DISCONNECT with the code goes first.
	Close
	// Bury keeps the message with the reason (Gate.Bury) and acknowledges it
	// with success once it is kept; where it cannot be, the session ends. A
	// message whose topic leads nowhere is acknowledged and ignored.
	Bury
)

// MQTTReply is an act and its reason or return code; the code means nothing for
// Accept, Drop and Bury, nor for Close over MQTT 3.1.1.
type MQTTReply struct {
	Act  MQTTAct
	Code byte
}

// MQTTAnswer is a Refusal said over one version of MQTT.
type MQTTAnswer struct {
	Connack   byte      // at CONNECT, then close
	Publish0  MQTTReply // PUBLISH with QoS 0
	Publish   MQTTReply // PUBLISH with QoS 1 or 2
	Subscribe MQTTReply // SUBSCRIBE
	Other     MQTTReply // PINGREQ, UNSUBSCRIBE, AUTH
}

// MQTT 5 reason codes (MQTT 5 2.4) and MQTT 3.1.1 return codes (3.2.2.3) that
// the table uses.
const (
	v5Unspecified     = 0x80
	v5ImplSpecific    = 0x83
	v5ClientID        = 0x85
	v5BadUser         = 0x86
	v5NotAuthorized   = 0x87
	v5Unavailable     = 0x88
	v5Busy            = 0x89
	v5Banned          = 0x8A
	v5ShuttingDown    = 0x8B
	v5TopicInvalid    = 0x90
	v5PacketTooLarge  = 0x95
	v5QuotaExceeded   = 0x97
	v5Administrative  = 0x98
	v5ConnectionRate  = 0x9F
	v3Identifier      = 2
	v3Unavailable     = 3
	v3NotAuthorized   = 5
	v3SubscribeFailed = 0x80
)

// over is an answer that ends an MQTT session whatever the packet was.
func over(http int, coap, connack5, disconnect5, connack3 byte) Answer {
	five, three := MQTTReply{Close, disconnect5}, MQTTReply{Act: Close}
	return Answer{
		HTTP: http, CoAP: coap,
		MQTT5: MQTTAnswer{Connack: connack5, Publish0: five, Publish: five, Subscribe: five, Other: five},
		MQTT3: MQTTAnswer{Connack: connack3, Publish0: three, Publish: three, Subscribe: three, Other: three},
	}
}

// kept is an answer that leaves an MQTT session alone: MQTT 5 is told code in
// the acknowledgement; MQTT 3.1.1 cannot be told, and would send the message
// again for ever: it is kept as a dead letter, and then acknowledged.
func kept(http int, coap, code, connack5, connack3 byte) Answer {
	say := MQTTReply{Say, code}
	return Answer{
		HTTP: http, CoAP: coap,
		MQTT5: MQTTAnswer{
			Connack: connack5, Publish0: MQTTReply{Act: Drop}, Publish: say,
			Subscribe: MQTTReply{Say, v5NotAuthorized},
		},
		MQTT3: MQTTAnswer{
			Connack: connack3, Publish0: MQTTReply{Act: Bury}, Publish: MQTTReply{Act: Bury},
			Subscribe: MQTTReply{Say, v3SubscribeFailed},
		},
	}
}

// modern is the standard profile's answer to a quota (contract section 4).
func modern(http int, coap, connack5 byte) Answer {
	return Answer{
		HTTP: http, CoAP: coap,
		MQTT5: MQTTAnswer{
			Connack: connack5, Publish0: MQTTReply{Act: Drop}, Publish: MQTTReply{Say, v5QuotaExceeded},
			Subscribe: MQTTReply{Say, v5QuotaExceeded},
		},
		MQTT3: MQTTAnswer{
			Connack: v3Unavailable, Publish0: MQTTReply{Act: Drop}, Publish: MQTTReply{Act: Close},
			Subscribe: MQTTReply{Say, v3SubscribeFailed},
		},
	}
}

// fixed is the part of the table that no profile changes.
var fixed = [numRefusalKinds]Answer{
	CostTooHigh:    kept(413, 0x8D, v5QuotaExceeded, v5QuotaExceeded, v3Unavailable),
	BadCredentials: over(401, 0x81, v5BadUser, v5NotAuthorized, v3NotAuthorized),
	DirectoryFull:  over(503, 0xA3, v5QuotaExceeded, v5QuotaExceeded, v3Unavailable),
	BadPayload:     kept(400, 0x80, v5ImplSpecific, v5Unspecified, v3Unavailable),
	TooLarge:       over(413, 0x8D, v5PacketTooLarge, v5PacketTooLarge, v3Unavailable),
	NameTooLong:    kept(400, 0x80, v5TopicInvalid, v5ClientID, v3Identifier),
	UnknownPath:    accepted(404, 0x84),
	BadMethod:      accepted(405, 0x85),
	StoreAway:      over(503, 0xA3, v5Unavailable, v5Busy, v3Unavailable),
	NoService:      accepted(503, 0xA3),
	ServiceTimeout: accepted(504, 0xA4),
	ShuttingDown:   over(503, 0xA3, v5Unavailable, v5ShuttingDown, v3Unavailable),
	Internal:       over(500, 0xA0, v5Unspecified, v5Unspecified, v3Unavailable),
}

// accepted is an answer that MQTT publishers are not told: as ThingsBoard does,
// the packet is acknowledged and ignored; only a subscription is refused.
func accepted(http int, coap byte) Answer {
	a := kept(http, coap, 0, v5Unspecified, v3Unavailable)
	a.MQTT5.Publish0, a.MQTT5.Publish = MQTTReply{}, MQTTReply{}
	a.MQTT3.Publish0, a.MQTT3.Publish = MQTTReply{}, MQTTReply{}
	return a
}

// AnswerTo is the one place where a Refusal becomes status, code and reason: by
// kind, and for quotas and denied hosts by profile and class. An unknown kind
// is answered as Internal. Do not call it for a Refusal that refuses nothing.
func AnswerTo(r *Refusal) Answer {
	switch {
	case r.Kind == QuotaExceeded:
		return quotaAnswer(r.Profile, r.Class)
	case r.Kind == HostDenied && r.Profile == quota.ThingsBoard:
		return over(509, 0x80, v5Banned, v5Administrative, v3NotAuthorized)
	case r.Kind == HostDenied:
		return over(403, 0x83, v5Banned, v5Administrative, v3NotAuthorized)
	case r.Kind == None || r.Kind >= numRefusalKinds:
		return fixed[Internal]
	}
	return fixed[r.Kind]
}

func quotaAnswer(p quota.Profile, c quota.Class) Answer {
	connack := byte(v5QuotaExceeded)
	if c == quota.Connects {
		connack = v5ConnectionRate
	}
	switch {
	case p == quota.ThingsBoard:
		return over(509, 0x80, v5QuotaExceeded, v5QuotaExceeded, v3Unavailable)
	case p == quota.Bandwidth && (c == quota.Messages || c == quota.Connects):
		return modern(403, 0x9D, connack)
	}
	return modern(429, 0x9D, connack)
}
