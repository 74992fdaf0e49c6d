package load

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// shortReading is the telemetry of a constrained device, 50 bytes of JSON.
const shortReading = `{"t":21.53,"h":48.2,"b":3.71,"r":-67,"s":12345678}`

// CoAP makes devices that POST telemetry confirmably, each from an address of
// its own, one request in flight. token names the device of number i.
func CoAP(addr netip.AddrPort, token func(i int) string) Dialer {
	return func(i int) (int, Session, error) {
		fd, err := udp(addr, i)
		if err != nil {
			return -1, nil, err
		}
		return fd, newCoAPSession(token(i), uint16(i)*7), nil
	}
}

// RFC 7252 section 3: version 1, type in bits 4 and 5, token length below.
const (
	coapCON    = 0x40
	coapACK    = 0x60
	coapType   = 0xf0
	coapHeader = 4
	tokenLen   = 4
)

type coapSession struct {
	request []byte
	id      uint16 // message id of the last request, in its token too
}

func newCoAPSession(token string, id uint16) *coapSession {
	b := []byte{coapCON | tokenLen, 2, 0, 0, 0, 0, 0, 0} // POST
	delta := byte(11 << 4)                               // Uri-Path
	for _, segment := range []string{"api", "v1", token, "telemetry"} {
		b = append(append(b, delta|byte(len(segment))), segment...)
		delta = 0
	}
	b = append(b, 0x11, 50, 0xff) // Content-Format: application/json; the payload follows
	return &coapSession{request: append(b, shortReading...), id: id}
}

func (s *coapSession) First(send Send) error {
	s.id++
	binary.BigEndian.PutUint16(s.request[2:], s.id)
	binary.BigEndian.PutUint16(s.request[coapHeader:], s.id)
	return send(s.request)
}

func (s *coapSession) Feed(in []byte, send Send) (int, error) {
	if len(in) < coapHeader+tokenLen || in[0]&0x0f != tokenLen ||
		binary.BigEndian.Uint16(in[coapHeader:]) != s.id {
		return 0, nil // an empty ACK, or the answer to a request given up
	}
	if in[1]>>5 != 2 {
		return 0, fmt.Errorf("CoAP answered %d.%02d", in[1]>>5, in[1]&0x1f)
	}
	if in[0]&coapType == coapCON { // a separate response
		if err := send([]byte{coapACK, 0, in[2], in[3]}); err != nil {
			return 0, err
		}
	}
	return 1, s.First(send)
}
