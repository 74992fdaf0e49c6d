package load

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// MQTT makes devices that publish telemetry with QoS 1 over MQTT 3.1.1, window
// messages in flight each.
func MQTT(addr netip.AddrPort, first, window int) Dialer {
	return func(i int) (int, Session, error) {
		fd, err := tcp(addr)
		if err != nil {
			return -1, nil, err
		}
		if err := mqttConnect(fd, Token(first+i)); err != nil {
			_ = unix.Close(fd)
			return -1, nil, err
		}
		return fd, newMQTTSession(window), nil
	}
}

// mqttConnect sends CONNECT, the token as client id and as user name, and waits
// for CONNACK.
func mqttConnect(fd int, token string) error {
	packet := []byte{0x10, byte(10 + 2 + len(token) + 2 + len(token)), 0, 4, 'M', 'Q', 'T', 'T', 4, 0x82, 0, 120}
	for range 2 {
		packet = append(append(packet, 0, byte(len(token))), token...)
	}
	if _, err := unix.Write(fd, packet); err != nil {
		return err
	}
	var answer [4]byte
	n, err := unix.Read(fd, answer[:])
	if err != nil || n != 4 || answer[0] != 0x20 || answer[3] != 0 {
		return fmt.Errorf("CONNECT answered %x: %w", answer[:max(n, 0)], err)
	}
	return nil
}

const topic = "v1/devices/me/telemetry"

type mqttSession struct {
	window  []byte // as many PUBLISH packets as may be in flight
	size    int    // of one of them
	idAt    int    // where its packet identifier is
	id      uint16
	partial int // bytes of a PUBACK that came in pieces
	head    [4]byte
}

func newMQTTSession(window int) *mqttSession {
	rest := 2 + len(topic) + 2 + len(Reading)
	publish := binary.AppendUvarint([]byte{0x32}, uint64(rest)) // MQTT's lengths are such varints
	publish = append(append(publish, 0, byte(len(topic))), topic...)
	s := &mqttSession{idAt: len(publish)}
	publish = append(append(publish, 0, 0), Reading...)
	s.size = len(publish)
	for range window {
		s.window = append(s.window, publish...)
	}
	return s
}

func (s *mqttSession) First(send Send) error {
	return s.publish(len(s.window)/s.size, send)
}

// publish sends n messages, at most a window, in one write.
func (s *mqttSession) publish(n int, send Send) error {
	for i := range n {
		if s.id++; s.id == 0 {
			s.id = 1
		}
		binary.BigEndian.PutUint16(s.window[i*s.size+s.idAt:], s.id)
	}
	return send(s.window[:n*s.size])
}

func (s *mqttSession) Feed(in []byte, send Send) (int, error) {
	answered := 0
	for _, b := range in {
		s.head[s.partial] = b
		if s.partial++; s.partial < len(s.head) {
			continue
		}
		if s.head[0] != 0x40 || s.head[1] != 2 {
			return answered, fmt.Errorf("MQTT answered %x where a PUBACK was due", s.head)
		}
		s.partial = 0
		answered++
	}
	if answered == 0 {
		return 0, nil
	}
	return answered, s.publish(answered, send)
}
