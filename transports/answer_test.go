package transports_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/quota"
	"github.com/weirgate/weir/transports"
)

// say, end, drop, bury and ok are the acts as the tables below write them.
func say(code byte) transports.MQTTReply {
	return transports.MQTTReply{Act: transports.Say, Code: code}
}

func end(code byte) transports.MQTTReply {
	return transports.MQTTReply{Act: transports.Close, Code: code}
}

var (
	drop = transports.MQTTReply{Act: transports.Drop}
	bury = transports.MQTTReply{Act: transports.Bury}
	ok   = transports.MQTTReply{Act: transports.Accept}
)

// all is an MQTT answer that ends the session whatever came.
func all(connack byte, r transports.MQTTReply) transports.MQTTAnswer {
	return transports.MQTTAnswer{Connack: connack, Publish0: r, Publish: r, Subscribe: r, Other: r}
}

// each is connack and the replies to PUBLISH QoS 0, QoS 1 and 2, SUBSCRIBE and
// the rest, in that order.
func each(connack byte, r ...transports.MQTTReply) transports.MQTTAnswer {
	return transports.MQTTAnswer{Connack: connack, Publish0: r[0], Publish: r[1], Subscribe: r[2], Other: r[3]}
}

// TestQuotaAnswers holds the table of contract section 4, cell by cell.
func TestQuotaAnswers(t *testing.T) {
	standard5 := each(0x97, drop, say(0x97), say(0x97), ok)
	connects5 := each(0x9F, drop, say(0x97), say(0x97), ok)
	standard3 := each(3, drop, end(0), say(0x80), ok)
	tests := []struct {
		name    string
		profile quota.Profile
		class   quota.Class
		want    transports.Answer
	}{
		{"thingsboard total", quota.ThingsBoard, quota.Total, transports.Answer{509, 0x80, all(0x97, end(0x97)), all(3, end(0))}},
		{"thingsboard connects", quota.ThingsBoard, quota.Connects, transports.Answer{509, 0x80, all(0x97, end(0x97)), all(3, end(0))}},
		{"thingsboard messages", quota.ThingsBoard, quota.Messages, transports.Answer{509, 0x80, all(0x97, end(0x97)), all(3, end(0))}},
		{"thingsboard reads", quota.ThingsBoard, quota.Reads, transports.Answer{509, 0x80, all(0x97, end(0x97)), all(3, end(0))}},
		{"standard total", quota.Standard, quota.Total, transports.Answer{429, 0x9D, standard5, standard3}},
		{"standard connects", quota.Standard, quota.Connects, transports.Answer{429, 0x9D, connects5, standard3}},
		{"standard messages", quota.Standard, quota.Messages, transports.Answer{429, 0x9D, standard5, standard3}},
		{"standard reads", quota.Standard, quota.Reads, transports.Answer{429, 0x9D, standard5, standard3}},
		{"bandwidth total", quota.Bandwidth, quota.Total, transports.Answer{429, 0x9D, standard5, standard3}},
		{"bandwidth connects", quota.Bandwidth, quota.Connects, transports.Answer{403, 0x9D, connects5, standard3}},
		{"bandwidth messages", quota.Bandwidth, quota.Messages, transports.Answer{403, 0x9D, standard5, standard3}},
		{"bandwidth reads", quota.Bandwidth, quota.Reads, transports.Answer{429, 0x9D, standard5, standard3}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := transports.Refusal{Kind: transports.QuotaExceeded, Profile: tt.profile, Class: tt.class}
			require.Equal(t, tt.want, transports.AnswerTo(&r))
		})
	}
}

func TestDeniedAnswers(t *testing.T) {
	five, three := all(0x8A, end(0x98)), all(5, end(0))
	tests := map[quota.Profile]transports.Answer{
		quota.ThingsBoard: {509, 0x80, five, three},
		quota.Standard:    {403, 0x83, five, three},
		quota.Bandwidth:   {403, 0x83, five, three},
	}
	for profile, want := range tests {
		t.Run(profile.String(), func(t *testing.T) {
			r := transports.Refusal{Kind: transports.HostDenied, Profile: profile}
			require.Equal(t, want, transports.AnswerTo(&r))
		})
	}
}

// TestOtherAnswers holds the errors of contract section 3, which no profile
// changes.
func TestOtherAnswers(t *testing.T) {
	ignored := each(0, ok, ok, say(0x87), ok)
	tests := []struct {
		kind       transports.RefusalKind
		http       int
		coap       byte
		mqtt5      transports.MQTTAnswer
		mqtt3      transports.MQTTAnswer
		anyConnack bool // no CONNECT is refused for this
	}{
		{kind: transports.CostTooHigh, http: 413, coap: 0x8D, mqtt5: each(0x97, drop, say(0x97), say(0x87), ok), mqtt3: each(3, bury, bury, say(0x80), ok)},
		{kind: transports.BadCredentials, http: 401, coap: 0x81, mqtt5: all(0x86, end(0x87)), mqtt3: all(5, end(0))},
		{kind: transports.DirectoryFull, http: 503, coap: 0xA3, mqtt5: all(0x97, end(0x97)), mqtt3: all(3, end(0))},
		{kind: transports.BadPayload, http: 400, coap: 0x80, mqtt5: each(0, drop, say(0x83), say(0x87), ok), mqtt3: each(0, bury, bury, say(0x80), ok), anyConnack: true},
		{kind: transports.TooLarge, http: 413, coap: 0x8D, mqtt5: all(0x95, end(0x95)), mqtt3: all(3, end(0))},
		{kind: transports.NameTooLong, http: 400, coap: 0x80, mqtt5: each(0x85, drop, say(0x90), say(0x87), ok), mqtt3: each(2, bury, bury, say(0x80), ok)},
		{kind: transports.UnknownPath, http: 404, coap: 0x84, mqtt5: ignored, mqtt3: each(0, ok, ok, say(0x80), ok), anyConnack: true},
		{kind: transports.BadMethod, http: 405, coap: 0x85, mqtt5: ignored, mqtt3: each(0, ok, ok, say(0x80), ok), anyConnack: true},
		{kind: transports.StoreAway, http: 503, coap: 0xA3, mqtt5: all(0x88, end(0x89)), mqtt3: all(3, end(0))},
		{kind: transports.NoService, http: 503, coap: 0xA3, mqtt5: ignored, mqtt3: each(0, ok, ok, say(0x80), ok), anyConnack: true},
		{kind: transports.ServiceTimeout, http: 504, coap: 0xA4, mqtt5: ignored, mqtt3: each(0, ok, ok, say(0x80), ok), anyConnack: true},
		{kind: transports.ShuttingDown, http: 503, coap: 0xA3, mqtt5: all(0x88, end(0x8B)), mqtt3: all(3, end(0))},
		{kind: transports.Internal, http: 500, coap: 0xA0, mqtt5: all(0x80, end(0x80)), mqtt3: all(3, end(0))},
		{kind: 200, http: 500, coap: 0xA0, mqtt5: all(0x80, end(0x80)), mqtt3: all(3, end(0))},
	}
	for _, tt := range tests {
		t.Run(tt.kind.Title(), func(t *testing.T) {
			for _, p := range []quota.Profile{quota.ThingsBoard, quota.Standard, quota.Bandwidth} {
				got := transports.AnswerTo(&transports.Refusal{Kind: tt.kind, Profile: p})
				if tt.anyConnack {
					got.MQTT5.Connack, got.MQTT3.Connack = 0, 0
				}
				require.Equal(t, transports.Answer{tt.http, tt.coap, tt.mqtt5, tt.mqtt3}, got, p.String())
			}
		})
	}
}

// TestNoCellIsMissing fails when a new kind of refusal has no row.
func TestNoCellIsMissing(t *testing.T) {
	for k := transports.None + 1; k.Title() != transports.Internal.Title() || k == transports.Internal; k++ {
		for _, p := range []quota.Profile{quota.ThingsBoard, quota.Standard, quota.Bandwidth} {
			for _, c := range []quota.Class{quota.Total, quota.Connects, quota.Messages, quota.Reads} {
				a := transports.AnswerTo(&transports.Refusal{Kind: k, Profile: p, Class: c})
				require.GreaterOrEqual(t, a.HTTP, 400, "%s: HTTP", k.Title())
				require.GreaterOrEqual(t, a.CoAP, byte(0x80), "%s: CoAP", k.Title())
				require.NotZero(t, a.MQTT5.Connack, "%s: MQTT 5", k.Title())
				require.NotZero(t, a.MQTT3.Connack, "%s: MQTT 3.1.1", k.Title())
				require.NotEmpty(t, k.Title())
			}
		}
	}
}
