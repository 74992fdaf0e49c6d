package load

import (
	"bytes"
	"fmt"
	"net/netip"
	"strconv"
)

// Reading is the telemetry of one publication, 100 bytes of JSON.
const Reading = `{"ts":1732345678901,"temperature":21.53,"humidity":48.2,"battery":3.71,"rssi":-67,"sequence":123456}`

// Token is the access token of device i.
func Token(i int) string { return fmt.Sprintf("bench-%04d", i) }

// HTTP makes devices that POST telemetry on a connection each, one request in
// flight. HTTP and MQTT devices are numbered from first on.
func HTTP(addr netip.AddrPort, first int) Dialer {
	return func(i int) (int, Session, error) {
		fd, err := tcp(addr)
		if err != nil {
			return -1, nil, err
		}
		return fd, &httpSession{request: fmt.Appendf(nil,
			"POST /api/v1/%s/telemetry HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			Token(first+i), addr, len(Reading), Reading)}, nil
	}
}

type httpSession struct {
	request []byte
	partial []byte // of an answer that came in pieces
}

func (s *httpSession) First(send Send) error { return send(s.request) }

func (s *httpSession) Feed(in []byte, send Send) (int, error) {
	if len(s.partial) > 0 {
		s.partial = append(s.partial, in...)
		in = s.partial
	}
	size, err := answerSize(in)
	if err != nil {
		return 0, err
	}
	if size == 0 || len(in) < size {
		s.partial = append(s.partial[:0], in...)
		return 0, nil
	}
	s.partial = s.partial[:0]
	return 1, send(s.request)
}

var (
	headEnd       = []byte("\r\n\r\n")
	contentLength = []byte("\r\nContent-Length: ")
)

// answerSize is how long an HTTP/1.1 answer is, 0 while its head is incomplete.
func answerSize(in []byte) (int, error) {
	end := bytes.Index(in, headEnd)
	if end < 0 {
		return 0, nil
	}
	if !bytes.HasPrefix(in, []byte("HTTP/1.1 20")) {
		return 0, fmt.Errorf("HTTP answered %q", in[:min(len(in), 400)])
	}
	size := end + len(headEnd)
	at := bytes.Index(in[:end+2], contentLength)
	if at < 0 {
		return size, nil
	}
	value := in[at+len(contentLength) : end+2]
	value = value[:bytes.IndexByte(value, '\r')]
	n, err := strconv.Atoi(string(value))
	return size + n, err
}
