package e2e_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// mqttPeer speaks MQTT byte by byte.
type mqttPeer struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
	v5   bool
}

// mqttRaw is a TCP connection to the gateway's MQTT; nothing is sent.
func mqttRaw(t *testing.T, g *gateway, v5 bool) *mqttPeer {
	t.Helper()
	conn, err := net.Dial("tcp", g.MQTT)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return &mqttPeer{t, conn, bufio.NewReader(conn), v5}
}

// mqttHello is a connection that was accepted as the device of a token.
func mqttHello(t *testing.T, g *gateway, v5 bool, token string) *mqttPeer {
	t.Helper()
	p := mqttRaw(t, g, v5)
	p.send(p.hello("", token))
	kind, body := p.read()
	require.EqualValues(t, 0x20, kind)
	require.Zero(t, body[1], "CONNACK")
	return p
}

// hello is a CONNECT of a client by a user name.
func (p *mqttPeer) hello(client, user string) []byte {
	level, props := byte(4), []byte(nil)
	if p.v5 {
		level, props = 5, []byte{0}
	}
	body := append(text16("MQTT"), level, 0x82, 0, 60)
	body = append(body, props...)
	body = append(body, text16(client)...)
	return packet(0x10, append(body, text16(user)...))
}

// publish is a PUBLISH of packet id 7 where its QoS has one.
func (p *mqttPeer) publish(topic string, qos byte, payload string) []byte {
	body := text16(topic)
	if qos > 0 {
		body = append(body, 0, 7)
	}
	if p.v5 {
		body = append(body, 0)
	}
	return packet(0x30|qos<<1, append(body, payload...))
}

// subscribe is a SUBSCRIBE with packet id 9 to filters with QoS 1.
func (p *mqttPeer) subscribe(filters ...string) []byte {
	body := []byte{0, 9}
	if p.v5 {
		body = append(body, 0)
	}
	for _, f := range filters {
		body = append(append(body, text16(f)...), 1)
	}
	return packet(0x82, body)
}

// text16 is a string as MQTT writes it.
func text16(s string) []byte { return append([]byte{byte(len(s) >> 8), byte(len(s))}, s...) }

// packet is a control packet of any length.
func packet(head byte, body []byte) []byte {
	out := []byte{head}
	for n := len(body); ; {
		b := byte(n & 0x7F)
		if n >>= 7; n > 0 {
			out = append(out, b|0x80)
			continue
		}
		return append(append(out, b), body...)
	}
}

func (p *mqttPeer) send(b []byte) {
	p.t.Helper()
	_, err := p.conn.Write(b)
	require.NoError(p.t, err)
}

// next is the next control packet's first byte and body; an error at the end.
func (p *mqttPeer) next(wait time.Duration) (byte, []byte, error) {
	if err := p.conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return 0, nil, err
	}
	head, err := p.in.ReadByte()
	if err != nil {
		return 0, nil, err
	}
	size, shift := 0, 0
	for more := true; more; shift += 7 {
		b, err := p.in.ReadByte()
		if err != nil {
			return 0, nil, err
		}
		size |= int(b&0x7F) << shift
		more = b >= 0x80
	}
	body := make([]byte, size)
	_, err = io.ReadFull(p.in, body)
	return head, body, err
}

// read is next, which must come.
func (p *mqttPeer) read() (byte, []byte) {
	p.t.Helper()
	head, body, err := p.next(patience)
	require.NoError(p.t, err)
	return head, body
}

// closed fails unless the gateway closes the connection without a word more.
func (p *mqttPeer) closed() {
	p.t.Helper()
	head, body, err := p.next(patience)
	require.Error(p.t, err, "got %#x % x", head, body)
	var timeout net.Error
	if errors.As(err, &timeout) {
		require.False(p.t, timeout.Timeout(), "it is still open")
	}
}

// alive fails unless the session answers a PINGREQ next.
func (p *mqttPeer) alive() {
	p.t.Helper()
	p.send([]byte{0xC0, 0})
	head, body := p.read()
	require.EqualValues(p.t, 0xD0, head, "PINGRESP; got % x", body)
}
