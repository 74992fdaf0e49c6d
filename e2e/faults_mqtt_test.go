package e2e_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// versions are the two of MQTT.
var versions = []struct {
	name string
	v5   bool
}{{"3.1.1", false}, {"5", true}}

// listener is another device, which hears whatever it may.
func listener(t *testing.T, g *gateway) *mqttPeer {
	t.Helper()
	p := mqttHello(t, g, true, "fan-token")
	p.send(p.subscribe("v1/devices/me/attributes", "v1/devices/me/attributes/response/+", "v1/devices/me/rpc/request/+", "v1/devices/me/rpc/response/+"))
	head, body := p.read()
	require.EqualValues(t, 0x90, head)
	for _, code := range body[3:] {
		require.Less(t, code, byte(0x80), "SUBACK % x", body)
	}
	return p
}

// TestBadTokensOverMQTT are told by the version's own code.
func TestBadTokensOverMQTT(t *testing.T) {
	g := start(t, listed+devicesOf("pump"))
	lines, series := g.logLines(), g.series(t)
	for _, v := range versions {
		t.Run(v.name, func(t *testing.T) {
			for _, token := range []string{"stranger", "", "pump-token ", "pump"} {
				p := mqttRaw(t, g, v.v5)
				p.send(p.hello("pump-token", token))
				head, body := p.read()
				require.EqualValues(t, 0x20, head)
				want := byte(5)
				if v.v5 {
					want = 0x86
				}
				require.Equal(t, want, body[1], "user name %q", token)
				p.closed()
			}
			mqttHello(t, g, v.v5, "pump-token").alive()
		})
	}
	g.stillQuiet(t, lines, series)
}

// TestLongNamesOverMQTT: a name that makes no subject.
func TestLongNamesOverMQTT(t *testing.T) {
	g := start(t, "")
	for _, v := range versions {
		t.Run(v.name, func(t *testing.T) {
			want := byte(2)
			if v.v5 {
				want = 0x85
			}
			for _, name := range []string{strings.Repeat("n", 600), strings.Repeat("é", 100)} { // too long once escaped
				p := mqttRaw(t, g, v.v5)
				p.send(p.hello("", name))
				_, body := p.read()
				require.Equal(t, want, body[1])
				p.closed()
			}
		})
	}
	require.Empty(t, kept(t, g.connect(t), "WEIR_UP"))
}

// TestBadPayloadsOverMQTT: MQTT 5 is told 0x83; MQTT 3.1.1, which would send
// again for ever, is acknowledged and the message kept aside with the reason.
func TestBadPayloadsOverMQTT(t *testing.T) {
	bad := []struct{ payload, reason string }{
		{"", "empty"}, {"21.5 degrees", "not JSON"}, {"21.5", "JSON object"}, {"[1]", "array of JSON objects"}, {"{\"t\":\"\xff\"}", "UTF-8"},
	}
	for _, v := range versions {
		t.Run(v.name, func(t *testing.T) {
			g := start(t, listed+devicesOf("pump", "fan"))
			other, p := listener(t, g), mqttHello(t, g, v.v5, "pump-token")
			lines, series := g.logLines(), g.series(t)
			for _, b := range bad {
				for qos := byte(0); qos <= 2; qos++ {
					p.send(p.publish("v1/devices/me/telemetry", qos, b.payload))
					p.answered(qos, map[bool]byte{true: 0x83}[v.v5], b.reason)
					p.send(p.publish("v1/devices/me/telemetry", 1, `{"n":1}`))
					p.answered(1, 0, "")
				}
			}
			other.alive() // and heard nothing before
			g.stillQuiet(t, lines, series)
			conn := g.connect(t)
			require.Len(t, kept(t, conn, "WEIR_UP"), 3*len(bad), "what was good")

			dead := kept(t, conn, "WEIR_DEAD")
			if v.v5 {
				require.Empty(t, dead, "the sender was told")
				return
			}
			require.Len(t, dead, 3*len(bad))
			for i, m := range dead {
				require.Equal(t, "weir.dead.acme.pump", m.Subject())
				require.Equal(t, bad[i/3].payload, string(m.Data()))
				require.Contains(t, m.Headers().Get("Weir-Reason"), bad[i/3].reason)
				require.Equal(t, "mqtt", m.Headers().Get("Weir-Transport"))
			}
		})
	}
}

// answered fails unless a publish with packet id 7 is answered by code (always
// 0 in 3.1.1), with a reason that holds why; a QoS 2 one that was taken is then
// released.
func (p *mqttPeer) answered(qos, code byte, why string) {
	p.t.Helper()
	if qos == 0 {
		p.alive() // nothing comes before the PINGRESP
		return
	}
	head, body := p.read()
	require.Equal(p.t, []byte{0, 0x40, 0x50}[qos], head, "% x", body)
	require.Equal(p.t, []byte{0, 7}, body[:2])
	got := byte(0)
	if len(body) > 2 {
		got = body[2]
	}
	require.Equal(p.t, code, got, "%q", body)
	if code >= 0x80 {
		require.Contains(p.t, string(body), why)
	}
	if qos == 2 && code < 0x80 {
		p.send([]byte{0x62, 2, 0, 7})
		head, body = p.read()
		require.EqualValues(p.t, 0x70, head, "% x", body)
	}
}

// TestUnknownTopics are acknowledged and ignored, and reach nobody.
func TestUnknownTopics(t *testing.T) {
	topics := []string{
		"v1/devices/fan/telemetry", "v1/devices/fan-token/attributes", "v1/devices/me/attributes/response/1", "v1/devices/me/rpc/request/1",
		"a", "/", "$SYS/broker/version", "weir.up.acme.fan.telemetry", "v1/devices/me/telemetry/", "v1/devices/me/attributes/request/x", ">", "*", "é\u2028",
	}
	for _, v := range versions {
		t.Run(v.name, func(t *testing.T) {
			g := start(t, listed+devicesOf("pump", "fan"))
			other, p := listener(t, g), mqttHello(t, g, v.v5, "pump-token")
			lines, series := g.logLines(), g.series(t)
			for _, topic := range topics {
				for qos := byte(0); qos <= 2; qos++ {
					p.send(p.publish(topic, qos, `{"n":1}`))
					p.answered(qos, map[bool]byte{true: 0x10}[v.v5], "") // 0x10: no subscribers
				}
			}
			other.alive()
			p.alive()
			g.stillQuiet(t, lines, series)
			require.Empty(t, kept(t, g.connect(t), "WEIR_UP"))
			require.Empty(t, kept(t, g.connect(t), "WEIR_DEAD"))
		})
	}
}

// TestForeignFilters: SUBACK 0x87 or 0x80 for whatever is not the device's own,
// the session goes on, and its own filters work beside them.
func TestForeignFilters(t *testing.T) {
	filters := []string{
		"#", "+", "+/+", "/#", "v1/#", "v1/devices/#", "v1/devices/+/telemetry", "v1/devices/me/#", "v1/devices/me/+", "v1/devices/me/telemetry",
		"v1/devices/pump/attributes", "v1/devices/pump-token/telemetry", "$SYS/#", "$SYS/broker/clients/connected", "$share/g/#", "$share/g/v1/devices/me/attributes", "weir/#",
	}
	for _, v := range versions {
		t.Run(v.name, func(t *testing.T) {
			g := start(t, listed+devicesOf("pump", "fan"))
			spy := mqttHello(t, g, v.v5, "fan-token")
			lines, series := g.logLines(), g.series(t)
			want := byte(0x80)
			if v.v5 {
				want = 0x87
			}
			for _, f := range filters {
				spy.send(spy.subscribe("v1/devices/me/attributes", f))
				head, body := spy.read()
				require.EqualValues(t, 0x90, head, "%q", f)
				require.Equal(t, []byte{0, 9}, body[:2])
				require.EqualValues(t, 0, body[len(body)-2], "its own, beside %q", f)
				require.Equal(t, want, body[len(body)-1], "%q", f)
			}
			p := mqttHello(t, g, v.v5, "pump-token")
			for _, topic := range []string{"v1/devices/me/telemetry", "v1/devices/me/attributes", "weir/x"} {
				p.send(p.publish(topic, 1, `{"n":1}`))
				p.read()
			}
			spy.alive() // and heard nothing before
			g.stillQuiet(t, lines, series)
		})
	}
}

// TestQuestionsOverMQTT: the answer goes to the device that asked and to no
// other; where nobody answers nothing comes, and the session goes on.
func TestQuestionsOverMQTT(t *testing.T) {
	g := start(t, listed+devicesOf("pump", "fan"))
	other := listener(t, g)
	p := mqttHello(t, g, true, "pump-token")
	p.send(p.subscribe("v1/devices/me/attributes/response/+"))
	p.read()
	p.send(p.publish("v1/devices/me/attributes/request/1", 1, `{"sharedKeys":"interval"}`))
	p.answered(1, 0, "")
	p.alive() // nobody is there
	p.send(p.publish("v1/devices/me/attributes/request/1", 1, `not JSON`))
	p.answered(1, 0x83, "JSON")

	answering(t, g.connect(t), "pump", `{"shared":{"interval":30}}`)
	p.send(p.publish("v1/devices/me/attributes/request/2", 0, `{"sharedKeys":"interval"}`))
	head, body := p.read()
	require.EqualValues(t, 0x30, head)
	require.Contains(t, string(body), fmt.Sprintf("response/2%c%s", 0, `{"shared":{"interval":30}}`))
	select {
	case <-time.After(50 * time.Millisecond): // for an answer gone astray
	case <-t.Context().Done():
	}
	other.alive()
}
