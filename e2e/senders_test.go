package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	paho3 "github.com/eclipse/paho.mqtt.golang"
	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/udp/coder"
)

// sender is one device's way up over one protocol. send returns nil once the
// gateway has acknowledged payload, and an error if it said no or nothing.
type sender interface {
	send(ctx context.Context, payload string) error
	close()
}

// dial makes the sender of a device.
type dial func(g *gateway, token string) (sender, error)

var protocols = []struct {
	name string
	dial dial
}{
	{"http", dialHTTP},
	{"mqtt", dialMQTT},
	{"coap", dialCoAP},
}

// answerBound is how long a sender waits: longer than the store's own 10 s.
const answerBound = 20 * time.Second

type httpSender struct {
	client *http.Client
	url    string
}

func dialHTTP(g *gateway, token string) (sender, error) {
	return &httpSender{
		client: &http.Client{Transport: &http.Transport{}, Timeout: answerBound},
		url:    g.HTTP + "/api/v1/" + token + "/telemetry",
	}, nil
}

func (s *httpSender) send(ctx context.Context, payload string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, strings.NewReader(payload))
	if err != nil {
		return err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}

func (s *httpSender) close() { s.client.CloseIdleConnections() }

// mqttSender is paho's client of MQTT 3.1.1.
type mqttSender struct{ client paho3.Client }

func dialMQTT(g *gateway, token string) (sender, error) {
	opts := paho3.NewClientOptions().AddBroker("tcp://" + g.MQTT).SetClientID(token).SetUsername(token).
		SetAutoReconnect(false).SetConnectTimeout(answerBound).SetOrderMatters(true)
	client := paho3.NewClient(opts)
	if t := client.Connect(); !t.WaitTimeout(answerBound) || t.Error() != nil {
		return nil, fmt.Errorf("connect: %v", t.Error())
	}
	return &mqttSender{client}, nil
}

func (s *mqttSender) send(ctx context.Context, payload string) error {
	t := s.client.Publish("v1/devices/me/telemetry", 1, false, payload)
	select {
	case <-t.Done():
		if err := t.Error(); err != nil {
			return err
		}
		if !s.client.IsConnectionOpen() { // paho ends tokens without an error then
			return errors.New("connection lost")
		}
		return nil
	case <-time.After(answerBound):
		return errors.New("no PUBACK")
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *mqttSender) close() { s.client.Disconnect(100) }

// coapSender sends confirmable requests over a socket of its own, and repeats
// one every two seconds until it is answered (RFC 7252 4.2).
type coapSender struct {
	conn net.Conn
	path string
	mid  uint16
}

func dialCoAP(g *gateway, token string) (sender, error) {
	conn, err := net.Dial("udp", g.CoAP)
	if err != nil {
		return nil, err
	}
	return &coapSender{conn: conn, path: "/api/v1/" + token + "/telemetry"}, nil
}

func (s *coapSender) send(ctx context.Context, payload string) error {
	s.mid++
	request, err := s.encode(payload)
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(answerBound); time.Now().Before(deadline); {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if _, err := s.conn.Write(request); err != nil {
			return err
		}
		code, err := s.answer()
		if errors.Is(err, errRepeat) {
			continue
		}
		if err == nil && code != codes.Created {
			err = errors.New(code.String())
		}
		return err
	}
	return errors.New("no answer")
}

var errRepeat = errors.New("no answer yet")

func (s *coapSender) token() []byte { return []byte{byte(s.mid >> 8), byte(s.mid)} }

func (s *coapSender) encode(payload string) ([]byte, error) {
	opts := make(message.Options, 0, 8)
	opts, _, err := opts.SetPath(make([]byte, 256), s.path)
	if err != nil {
		return nil, err
	}
	m := message.Message{
		Type: message.Confirmable, Code: codes.POST, MessageID: int32(s.mid), Token: s.token(),
		Options: opts, Payload: []byte(payload),
	}
	buf := make([]byte, 1500)
	n, err := coder.DefaultCoder.Encode(m, buf)
	return buf[:n], err
}

// answer reads until the answer to the request in hand, piggybacked or
// separate (then acknowledged), or errRepeat after two seconds.
func (s *coapSender) answer() (codes.Code, error) {
	buf := make([]byte, 1500)
	if err := s.conn.SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return 0, err
	}
	for {
		n, err := s.conn.Read(buf)
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			return 0, errRepeat
		}
		if err != nil {
			return 0, err
		}
		m := message.Message{Options: make(message.Options, 0, 8)}
		if _, err := coder.DefaultCoder.Decode(buf[:n], &m); err != nil {
			return 0, err
		}
		if m.Type == message.Confirmable {
			ack := []byte{0x60, 0, byte(m.MessageID >> 8), byte(m.MessageID)}
			if _, err := s.conn.Write(ack); err != nil {
				return 0, err
			}
		}
		if m.Code != codes.Empty && string(m.Token) == string(s.token()) {
			return m.Code, nil
		}
	}
}

func (s *coapSender) close() { s.conn.Close() }
