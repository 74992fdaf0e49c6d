package e2e_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTooLargeOverMQTT: DISCONNECT 0x95, or close.
func TestTooLargeOverMQTT(t *testing.T) {
	g := start(t, listed+devicesOf("pump"))
	lines, series := g.logLines(), g.series(t)
	for _, v := range versions {
		t.Run(v.name, func(t *testing.T) {
			p := mqttHello(t, g, v.v5, "pump-token")
			p.send(p.publish("v1/devices/me/telemetry", 1, `{"n":"`+strings.Repeat("x", 60<<10)+`"}`))
			p.answered(1, 0, "")
			// The gateway says no after the length, and may close before all is sent.
			_, _ = p.conn.Write(p.publish("v1/devices/me/telemetry", 1, `{"n":"`+strings.Repeat("x", 64<<10)+`"}`))
			if v.v5 {
				head, body := p.read()
				require.EqualValues(t, 0xE0, head)
				require.EqualValues(t, 0x95, body[0])
			}
			p.closed()
			mqttHello(t, g, v.v5, "pump-token").alive()
		})
	}
	t.Run("announced", func(t *testing.T) {
		p := mqttHello(t, g, true, "pump-token")
		p.send([]byte{0x32, 0xFF, 0xFF, 0xFF, 0x7F}) // 256 MB to come
		head, body := p.read()
		require.EqualValues(t, 0xE0, head)
		require.EqualValues(t, 0x95, body[0])
		p.closed()
	})
	g.stillQuiet(t, lines, series)
	require.Len(t, kept(t, g.connect(t), "WEIR_UP"), 2)
}

// TestMalformedMQTT: packets that are none end their own connection, if any,
// and nothing else; the cut SUBSCRIBE among them ends mochi-mqtt's process.
func TestMalformedMQTT(t *testing.T) {
	g := start(t, listed+devicesOf("pump", "fan"))
	other := listener(t, g)
	lines, series := g.logLines(), g.series(t)
	cut := append([]byte{0, 9, 0}, text16("a")...) // MQTT 5, without its options byte
	afterHello := map[string][]byte{
		"a SUBSCRIBE without options": packet(0x82, cut),
		"a SUBSCRIBE of nothing":      packet(0x82, []byte{0, 9, 0}),
		"a SUBSCRIBE with a length":   packet(0x82, []byte{0, 9, 0, 0xFF, 0xFF}),
		"a SUBSCRIBE of id 0":         packet(0x82, append([]byte{0, 0, 0}, append(text16("a"), 0)...)),
		"an empty SUBSCRIBE":          {0x82, 0},
		"an empty UNSUBSCRIBE":        {0xA2, 0},
		"a second CONNECT":            (&mqttPeer{v5: true}).hello("", "pump-token"),
		"a CONNACK":                   {0x20, 2, 0, 0},
		"a packet of type 0":          {0x00, 0},
		"a PUBLISH of QoS 3":          packet(0x36, append(text16("a"), 0, 7, 0)),
		"a PUBLISH cut short":         packet(0x32, []byte{0, 9, 'v'}),
		"a PUBLISH to a wildcard":     packet(0x30, append(text16("v1/#"), 0)),
		"a PUBLISH of no topic":       packet(0x30, append(text16(""), 0)),
		"a length without end":        {0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF},
		"an AUTH":                     {0xF0, 0},
		"properties of nobody":        packet(0x30, append(text16("a"), 2, 0xFF, 0xFF)),
	}
	for name, b := range afterHello {
		t.Run(name, func(t *testing.T) {
			for range 5 {
				p := mqttHello(t, g, true, "pump-token")
				p.send(b)
				if head, body, err := p.next(patience); err == nil {
					require.EqualValues(t, 0xE0, head, "a DISCONNECT, got % x", body)
					require.GreaterOrEqual(t, body[0], byte(0x80))
					p.closed()
				}
			}
			mqttHello(t, g, true, "pump-token").alive()
			other.alive()
		})
	}
	for name, b := range map[string][]byte{
		"noise": []byte("\xDE\xAD\xBE\xEF"), "HTTP": []byte("GET / HTTP/1.1\r\n\r\n"), "a PINGREQ first": {0xC0, 0},
		"a CONNECT cut short": packet(0x10, []byte{0, 4, 'M'}), "a CONNECT of 256 MB": {0x10, 0xFF, 0xFF, 0xFF, 0x7F},
		"a protocol nobody knows": packet(0x10, append(text16("AMQP"), 4, 2, 0, 60, 0, 0)),
	} {
		t.Run(name, func(t *testing.T) {
			for range 5 {
				p := mqttRaw(t, g, true)
				p.send(b)
				if head, body, err := p.next(patience); err == nil {
					require.EqualValues(t, 0x20, head, "a CONNACK, got % x", body)
					require.NotZero(t, body[1])
					p.closed()
				}
			}
			other.alive()
		})
	}
	t.Run("a version nobody knows", func(t *testing.T) {
		p := mqttRaw(t, g, true)
		p.send(packet(0x10, append(text16("MQTT"), 9, 2, 0, 60, 0, 0, 0)))
		_, body := p.read()
		require.EqualValues(t, 0x84, body[1])
		p = mqttRaw(t, g, false)
		p.send(packet(0x10, append(text16("MQIsdp"), 3, 2, 0, 60, 0, 1, 'a')))
		_, body = p.read()
		require.EqualValues(t, 1, body[1])
	})
	g.stillQuiet(t, lines, series)
	require.Empty(t, kept(t, g.connect(t), "WEIR_UP"))
}
