package e2e_test

import (
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/udp/coder"
	"github.com/stretchr/testify/require"
)

// coapPeer speaks CoAP over a socket of its own.
type coapPeer struct {
	t    *testing.T
	conn net.Conn
	mid  int32
}

func newCoAP(t *testing.T, g *gateway) *coapPeer {
	t.Helper()
	conn, err := net.Dial("udp", g.CoAP)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return &coapPeer{t: t, conn: conn}
}

// coapAsk is a request; more are options besides the path's, in any order.
type coapAsk struct {
	code    codes.Code
	path    string
	payload string
	more    message.Options
	non     bool
}

// encode is the datagram of a request with the next message id.
func (p *coapPeer) encode(a coapAsk) []byte {
	p.t.Helper()
	p.mid++
	opts := make(message.Options, 0, 16)
	if a.path != "" {
		var err error
		opts, _, err = opts.SetPath(make([]byte, 1024), a.path)
		require.NoError(p.t, err)
	}
	for _, o := range a.more {
		opts = opts.Add(o)
	}
	m := message.Message{
		Type: message.Confirmable, Code: a.code, MessageID: p.mid, Token: []byte{byte(p.mid >> 8), byte(p.mid)},
		Options: opts, Payload: []byte(a.payload),
	}
	if a.non {
		m.Type = message.NonConfirmable
	}
	buf := make([]byte, 8<<10)
	n, err := coder.DefaultCoder.Encode(m, buf)
	require.NoError(p.t, err)
	return buf[:n]
}

// ask is the answer to a request, separate or not.
func (p *coapPeer) ask(a coapAsk) message.Message {
	p.t.Helper()
	_, err := p.conn.Write(p.encode(a))
	require.NoError(p.t, err)
	for {
		m := p.read()
		if m.Type == message.Confirmable {
			_, err := p.conn.Write([]byte{0x60, 0, byte(m.MessageID >> 8), byte(m.MessageID)})
			require.NoError(p.t, err)
		}
		if m.Code != codes.Empty {
			return m
		}
	}
}

func (p *coapPeer) read() message.Message {
	p.t.Helper()
	require.NoError(p.t, p.conn.SetReadDeadline(time.Now().Add(patience)))
	buf := make([]byte, 8<<10)
	n, err := p.conn.Read(buf)
	require.NoError(p.t, err)
	m := message.Message{Options: make(message.Options, 0, 16)}
	_, err = coder.DefaultCoder.Decode(buf[:n], &m)
	require.NoError(p.t, err)
	return m
}

// dotted is a code as people write it.
func dotted(c codes.Code) string {
	return string([]byte{'0' + byte(c>>5), '.', '0' + byte(c&31)/10, '0' + byte(c&31)%10})
}

func option(id message.OptionID, value ...byte) message.Options {
	return message.Options{{ID: id, Value: value}}
}

func badCoAP() []struct {
	name string
	ask  coapAsk
	code string
} {
	const telemetry, attributes = "/api/v1/pump-token/telemetry", "/api/v1/pump-token/attributes"
	say := func(payload string) coapAsk { return coapAsk{code: codes.POST, path: telemetry, payload: payload} }
	return []struct {
		name string
		ask  coapAsk
		code string
	}{
		{"the root", coapAsk{code: codes.GET}, "4.04"},
		{"no such resource", coapAsk{code: codes.POST, path: "/api/v1/pump-token/rumours", payload: "{}"}, "4.04"},
		{"one level too deep", coapAsk{code: codes.POST, path: telemetry + "/more", payload: "{}"}, "4.04"},
		{"GET telemetry", coapAsk{code: codes.GET, path: telemetry}, "4.05"},
		{"PUT", coapAsk{code: codes.PUT, path: telemetry, payload: "{}"}, "4.05"},
		{"DELETE", coapAsk{code: codes.DELETE, path: attributes}, "4.05"},
		{"a method of one's own", coapAsk{code: 31, path: telemetry, payload: "{}"}, "4.05"},
		{"no payload", say(""), "4.00"},
		{"no JSON", say("21.5 degrees"), "4.00"},
		{"a number", say("21.5"), "4.00"},
		{"an array of numbers", say("[1]"), "4.00"},
		{"not UTF-8", say("{\"t\":\"\xff\"}"), "4.00"},
		{"an array as attributes", coapAsk{code: codes.POST, path: attributes, payload: "[{}]"}, "4.00"},
		{"an unknown token", coapAsk{code: codes.POST, path: "/api/v1/stranger/telemetry", payload: "{}"}, "4.01"},
		{"no token", coapAsk{code: codes.POST, path: "/api/v1/telemetry", payload: "{}"}, "4.01"},
		{"an option nobody knows", coapAsk{code: codes.POST, path: telemetry, payload: "{}", more: option(2049, 1)}, "4.02"},
		{"an option that is too long", coapAsk{code: codes.POST, path: telemetry, payload: "{}", more: option(message.Accept, 1, 2, 3)}, "4.02"},
		{"a format that is not served", coapAsk{code: codes.GET, path: attributes, more: option(message.Accept, 60)}, "4.06"},
		{"a proxy's work", coapAsk{code: codes.GET, path: attributes, more: option(message.ProxyScheme, 'c')}, "5.05"},
		{"too large", say(`{"a":"` + strings.Repeat("x", 4<<10) + `"}`), "4.13"},
		{"in blocks", coapAsk{code: codes.POST, path: telemetry, payload: "{", more: option(message.Block1, 0x08)}, "4.13"},
		{"a block size that is none", coapAsk{code: codes.POST, path: telemetry, payload: "{}", more: option(message.Block1, 0x07)}, "4.00"},
		{"nobody answers", coapAsk{code: codes.GET, path: attributes}, "5.03"},
	}
}

// TestBadCoAP: every bad request has its code, a Max-Age of 0 and a reason; the
// next good one is stored, and nothing else is.
func TestBadCoAP(t *testing.T) {
	g := start(t, listed+devicesOf("pump", "fan"))
	good := coapAsk{code: codes.POST, path: "/api/v1/pump-token/telemetry", payload: `{"n":1}`}
	p := newCoAP(t, g)
	require.Equal(t, "2.01", dotted(p.ask(good).Code))
	lines, series, n := g.logLines(), g.series(t), 1
	for _, tt := range badCoAP() {
		t.Run(tt.name, func(t *testing.T) {
			m := p.ask(tt.ask)
			require.Equal(t, tt.code, dotted(m.Code), "%s", m.Payload)
			require.Equal(t, message.Acknowledgement, m.Type)
			age, err := m.Options.GetUint32(message.MaxAge)
			require.NoError(t, err, "Max-Age")
			require.Zero(t, age, "an error is not to be reused")
			require.NotContains(t, string(m.Payload), "pump", "no token comes back")

			tt.ask.non = true
			if tt.code != "4.02" { // which a NON is spared (RFC 7252 5.4.1)
				m = p.ask(tt.ask)
				require.Equal(t, tt.code, dotted(m.Code))
				require.Equal(t, message.NonConfirmable, m.Type)
			}
			require.Equal(t, "2.01", dotted(p.ask(good).Code))
			n++
		})
	}
	for _, tt := range badCoAP() {
		for range 20 {
			p.ask(tt.ask)
		}
	}
	g.stillQuiet(t, lines, series)
	require.Len(t, kept(t, g.connect(t), "WEIR_UP"), n)
	require.Empty(t, kept(t, g.connect(t), "WEIR_DEAD"))
}

// TestQuestionsOverCoAP: an answer comes back as it is; a service that is silent
// is 5.04 after three seconds, in a separate response.
func TestQuestionsOverCoAP(t *testing.T) {
	t.Parallel()
	g := start(t, listed+devicesOf("pump", "fan"))
	conn := g.connect(t)
	answering(t, conn, "pump", `{"shared":{"interval":30}}`)
	answering(t, conn, "fan", "")
	p := newCoAP(t, g)
	m := p.ask(coapAsk{code: codes.GET, path: "/api/v1/pump-token/attributes"})
	require.Equal(t, "2.05", dotted(m.Code))
	require.Equal(t, `{"shared":{"interval":30}}`, string(m.Payload))

	m = p.ask(coapAsk{code: codes.GET, path: "/api/v1/fan-token/attributes"})
	require.Equal(t, "5.04", dotted(m.Code))
	require.Equal(t, message.Confirmable, m.Type, "the empty ACK went first")
}

// TestLongNamesOverCoAP: a name of 255 bytes that makes no subject once it is
// escaped.
func TestLongNamesOverCoAP(t *testing.T) {
	g := start(t, "")
	p := newCoAP(t, g)
	m := p.ask(coapAsk{code: codes.POST, path: "/api/v1/" + strings.Repeat("é", 127) + "/telemetry", payload: "{}"})
	require.Equal(t, "4.00", dotted(m.Code))
	m = p.ask(coapAsk{code: codes.POST, path: "/api/v1/" + strings.Repeat("n", 255) + "/telemetry", payload: "{}"})
	require.Equal(t, "2.01", dotted(m.Code))
}

// TestGarbageOverUDP: datagrams that are no CoAP, or cut, or changed at random,
// are ignored or reset, and cost nobody else anything.
func TestGarbageOverUDP(t *testing.T) {
	g := start(t, listed+devicesOf("pump"))
	p := newCoAP(t, g)
	good := coapAsk{code: codes.POST, path: "/api/v1/pump-token/telemetry", payload: `{"n":1}`}
	require.Equal(t, "2.01", dotted(p.ask(good).Code))
	lines, series := g.logLines(), g.series(t)

	source := rand.New(rand.NewPCG(1, 2))
	whole := p.encode(good)
	for i := range 2000 {
		var d []byte
		switch i % 4 {
		case 0: // noise
			d = make([]byte, source.IntN(64))
			for j := range d {
				d[j] = byte(source.Uint32())
			}
		case 1: // cut
			d = whole[:source.IntN(len(whole))]
		case 2: // a byte changed before the payload, so that nothing new is stored
			d = append(d, whole...)
			d[source.IntN(4)] ^= byte(1 + source.IntN(255))
		case 3: // options that promise more than there is
			d = append(append(d, whole[:6]...), 0xDD, 0xFF, 0xFF, 0xEE)
		}
		stranger, err := net.Dial("udp", g.CoAP)
		require.NoError(t, err)
		_, err = stranger.Write(d)
		require.NoError(t, err)
		stranger.Close()
	}
	require.Equal(t, "2.01", dotted(p.ask(good).Code))
	g.stillQuiet(t, lines, series)
	for _, m := range kept(t, g.connect(t), "WEIR_UP") {
		require.Equal(t, `{"n":1}`, string(m.Data()))
		require.Equal(t, "weir.up.acme.pump.telemetry", m.Subject())
	}
}
