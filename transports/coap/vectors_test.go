package coap_test

import (
	"strings"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/transports/coap"
)

const (
	con = message.Confirmable
	non = message.NonConfirmable
	ack = message.Acknowledgement
	rst = message.Reset
)

// request is a request's bytes, with message id 7 and token "k".
func request(t *testing.T, kind message.Type, code codes.Code, o message.Options, payload string) []byte {
	return encode(t, message.Message{
		Type: kind, Code: code, MessageID: 7, Token: []byte("k"), Options: o, Payload: []byte(payload),
	})
}

// TestVectors sends one datagram each over a real socket, and holds the answer
// against RFC 7252 (by section), RFC 7959 or the contract.
func TestVectors(t *testing.T) {
	attrs := []string{"api", "v1", "tok", "attributes"}
	tests := []struct {
		name   string
		send   []byte
		kind   message.Type
		code   codes.Code
		silent bool
	}{
		{name: "3 fewer than four bytes", send: []byte{0x40, 2, 0}, silent: true},
		{name: "3 empty datagram", send: []byte{}, silent: true},
		{name: "3 unknown version", send: []byte{0x80, 2, 0, 7}, silent: true},
		{name: "3 token length 9 in a CON", send: append([]byte{0x49, 2, 0, 7}, make([]byte, 9)...), kind: rst},
		{name: "3 token length 15 in a NON", send: append([]byte{0x5f, 2, 0, 7}, make([]byte, 15)...), silent: true},
		{name: "3 token cut", send: []byte{0x44, 2, 0, 7, 1}, kind: rst},
		{name: "3 marker without payload", send: []byte{0x40, 2, 0, 7, 0xb3, 'a', 'p', 'i', 0xff}, kind: rst},
		{name: "3 marker without options or payload", send: []byte{0x40, 2, 0, 7, 0xff}, kind: rst},
		{name: "3.1 option length 15", send: []byte{0x40, 2, 0, 7, 0xbf}, kind: rst},
		{name: "3.1 option delta 15", send: []byte{0x40, 2, 0, 7, 0xf1, 0}, kind: rst},
		{name: "3.1 option cut", send: []byte{0x40, 2, 0, 7, 0xb3, 'a'}, kind: rst},
		{name: "3.1 extended delta cut", send: []byte{0x40, 2, 0, 7, 0xe0, 1}, kind: rst},
		{name: "3.1 option number over 65535", send: []byte{0x40, 2, 0, 7, 0xe0, 0xff, 0xff}, kind: rst},
		{name: "3.1 format error in a NON", send: []byte{0x50, 2, 0, 7, 0xbf}, silent: true},
		{name: "3.1 value that ends in 0xff is no marker", send: []byte{0x40, 2, 0, 7, 0xc1, 0xff}, kind: ack, code: codes.NotFound},
		{name: "4.2 ping", send: []byte{0x40, 0, 0, 7}, kind: rst},
		{name: "4.1 empty with a token", send: []byte{0x41, 0, 0, 7, 1}, kind: rst},
		{name: "4.3 empty NON", send: []byte{0x50, 0, 0, 7}, silent: true},
		{name: "4.2 reserved class 1", send: []byte{0x40, 1<<5 | 1, 0, 7}, silent: true},
		{name: "4.2 reserved class 7", send: []byte{0x40, 7 << 5, 0, 7}, silent: true},
		{name: "4.2 response nobody asked for", send: []byte{0x40, 0x45, 0, 7}, silent: true},
		{name: "4.2 unsolicited ACK", send: []byte{0x60, 0, 0, 7}, silent: true},
		{name: "4.2 ACK with a request's code", send: []byte{0x60, 2, 0, 7}, silent: true},
		{name: "4.2 unsolicited RST", send: []byte{0x70, 0, 0, 7}, silent: true},
		{name: "5.8.2 telemetry", send: request(t, con, codes.POST, path(telemetryPath), `{"t":1}`), kind: ack, code: codes.Created},
		{name: "5.8.2 telemetry by NON", send: request(t, non, codes.POST, path(telemetryPath), `{"t":1}`), kind: non, code: codes.Created},
		{name: "5.8.2 attributes", send: request(t, con, codes.POST, path(attrs), `{"t":1}`), kind: ack, code: codes.Created},
		{name: "5.8.1 attributes", send: request(t, con, codes.GET, path(attrs), ""), kind: ack, code: codes.Content},
		{name: "5.8.1 telemetry is not readable", send: request(t, con, codes.GET, path(telemetryPath), ""), kind: ack, code: codes.MethodNotAllowed},
		{name: "5.8.3 PUT", send: request(t, con, codes.PUT, path(telemetryPath), `{}`), kind: ack, code: codes.MethodNotAllowed},
		{name: "5.8 unknown method", send: request(t, con, 31, path(telemetryPath), `{}`), kind: ack, code: codes.MethodNotAllowed},
		{name: "unknown path", send: request(t, con, codes.POST, path([]string{"api", "v1", "tok", "nothing"}), `{}`), kind: ack, code: codes.NotFound},
		{name: "no path", send: request(t, con, codes.GET, nil, ""), kind: ack, code: codes.NotFound},
		{name: "slash at the end", send: request(t, con, codes.POST, path(append(telemetryPath, "")), `{}`), kind: ack, code: codes.NotFound},
		{name: "no token", send: request(t, con, codes.POST, path([]string{"api", "v1", "telemetry"}), `{}`), kind: ack, code: codes.Unauthorized},
		{name: "empty token", send: request(t, con, codes.POST, path([]string{"api", "v1", "", "telemetry"}), `{}`), kind: ack, code: codes.Unauthorized},
		{name: "bad token", send: request(t, con, codes.POST, path([]string{"api", "v1", "no", "telemetry"}), `{}`), kind: ack, code: codes.Unauthorized},
		{name: "bad payload", send: request(t, con, codes.POST, path(telemetryPath), `{`), kind: ack, code: codes.BadRequest},
		{name: "no payload", send: request(t, con, codes.POST, path(telemetryPath), ""), kind: ack, code: codes.BadRequest},
		{name: "longest payload", send: fill(t, coap.MaxDatagram), kind: ack, code: codes.Created},
		{name: "payload too long by one", send: fill(t, coap.MaxDatagram+1), kind: ack, code: codes.RequestEntityTooLarge},
		{name: "payload far too long", send: fill(t, 60000), kind: ack, code: codes.RequestEntityTooLarge},
		{name: "5.4.1 unknown critical option in a CON", send: request(t, con, codes.POST, path(telemetryPath, opt(9999, "x")), `{}`), kind: ack, code: codes.BadOption},
		{name: "5.4.1 unknown critical option in a NON", send: request(t, non, codes.POST, path(telemetryPath, opt(9999, "x")), `{}`), silent: true},
		{name: "5.4.1 unknown elective option", send: request(t, con, codes.POST, path(telemetryPath, opt(9998, "x")), `{}`), kind: ack, code: codes.Created},
		{name: "5.4.3 empty Uri-Host", send: request(t, con, codes.POST, append(message.Options{opt(3, "")}, path(telemetryPath)...), `{}`), kind: ack, code: codes.BadOption},
		{name: "5.4.3 Uri-Path of 256 bytes", send: request(t, con, codes.POST, path([]string{strings.Repeat("x", 256)}), `{}`), kind: ack, code: codes.BadOption},
		{name: "5.4.3 Accept of three bytes", send: request(t, con, codes.GET, path(attrs, opt(17, "abc")), ""), kind: ack, code: codes.BadOption},
		{name: "5.4.3 Content-Format of three bytes is passed over", send: request(t, con, codes.POST, path(telemetryPath, opt(12, "abc")), `{}`), kind: ack, code: codes.Created},
		{name: "5.4.5 Uri-Port twice", send: request(t, con, codes.POST, append(message.Options{opt(7, ""), opt(7, "")}, path(telemetryPath)...), `{}`), kind: ack, code: codes.BadOption},
		{name: "5.10 Uri-Host, Uri-Port, Uri-Query, Content-Format", send: request(t, con, codes.POST, append(message.Options{opt(3, "h"), opt(7, "\x16\x33")}, path(telemetryPath, opt(12, "\x32"), opt(15, "a=b"))...), `{}`), kind: ack, code: codes.Created},
		{name: "5.10.1 Uri-Path is not UTF-8", send: request(t, con, codes.POST, path([]string{"api", "v1", "\xff", "telemetry"}), `{}`), kind: ack, code: codes.BadOption},
		{name: "5.10.2 Proxy-Uri", send: request(t, con, codes.POST, path(telemetryPath, opt(35, "coap://x")), `{}`), kind: ack, code: codes.ProxyingNotSupported},
		{name: "5.10.2 Proxy-Scheme", send: request(t, con, codes.POST, path(telemetryPath, opt(39, "coap")), `{}`), kind: ack, code: codes.ProxyingNotSupported},
		{name: "5.10.4 Accept JSON", send: request(t, con, codes.GET, path(attrs, opt(17, "\x32")), ""), kind: ack, code: codes.Content},
		{name: "5.10.4 Accept CBOR", send: request(t, con, codes.GET, path(attrs, opt(17, "\x3c")), ""), kind: ack, code: codes.NotAcceptable},
		{name: "5.10.8 If-Match", send: request(t, con, codes.POST, append(message.Options{opt(1, "e")}, path(telemetryPath)...), `{}`), kind: ack, code: codes.BadOption},
		{name: "RFC 7641 Observe is elective", send: request(t, con, codes.GET, append(message.Options{opt(6, "")}, path(attrs)...), ""), kind: ack, code: codes.Content},
		{name: "RFC 7959 one block", send: request(t, con, codes.POST, path(telemetryPath, opt(27, "\x02")), `{}`), kind: ack, code: codes.Created},
		{name: "RFC 7959 first of more blocks", send: request(t, con, codes.POST, path(telemetryPath, opt(27, "\x0a")), `{}`), kind: ack, code: codes.RequestEntityTooLarge},
		{name: "RFC 7959 second block", send: request(t, con, codes.POST, path(telemetryPath, opt(27, "\x12")), `{}`), kind: ack, code: codes.RequestEntityTooLarge},
		{name: "RFC 7959 size 7 up", send: request(t, con, codes.POST, path(telemetryPath, opt(27, "\x07")), `{}`), kind: ack, code: codes.BadRequest},
		{name: "RFC 7959 size 7 down", send: request(t, con, codes.GET, path(attrs, opt(23, "\x07")), ""), kind: ack, code: codes.BadRequest},
		{name: "RFC 7959 no such block", send: request(t, con, codes.GET, path(attrs, opt(23, "\x10")), ""), kind: ack, code: codes.BadRequest},
		{name: "more options than are taken", send: request(t, con, codes.POST, path(append(make([]string, 64), telemetryPath...)), `{}`), kind: rst},
	}
	w := newWorld(t, nil).serve()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := w.peer()
			p.t = t
			p.send(tt.send)
			if tt.silent {
				p.silent()
				return
			}
			raw := p.receive()
			m := decode(t, raw)
			require.Equal(t, tt.kind, m.Type)
			require.Equal(t, tt.code, m.Code, "%s", m.Payload)
			if tt.kind != non {
				require.EqualValues(t, 7, m.MessageID)
			}
			if tt.kind == rst {
				require.Len(t, raw, 4)
				return
			}
			if tt.send[0]&15 != 0 {
				require.Equal(t, "k", string(m.Token))
			}
			if m.Code >= codes.BadRequest {
				age, err := m.Options.GetUint32(message.MaxAge)
				require.NoError(t, err, "an error tells how long it holds")
				require.Zero(t, age)
				require.LessOrEqual(t, len(raw), 3*len(tt.send))
			}
			p.silent()
		})
	}
}

// fill is a telemetry POST of n bytes in all.
func fill(t *testing.T, n int) []byte {
	head := len(request(t, con, codes.POST, path(telemetryPath), `""`)) - 2
	return request(t, con, codes.POST, path(telemetryPath), `{"a":"`+strings.Repeat("x", n-head-8)+`"}`)
}
