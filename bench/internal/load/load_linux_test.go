package load_test

import (
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirgate/weir/bench/internal/load"
)

const (
	devices  = 3
	duration = 100 * time.Millisecond
	patience = 20 * time.Millisecond
)

// drive runs a fleet and says what it counted.
func drive(t *testing.T, dial load.Dialer) (load.Counts, error) {
	t.Helper()
	f, err := load.NewFleet(patience)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Add(devices, dial); err != nil {
		t.Fatal(err)
	}
	return f.Run(duration)
}

// counted fails unless the server did what the fleet says was answered; at most
// inFlight requests more.
func counted(t *testing.T, c load.Counts, served int64, inFlight int) {
	t.Helper()
	if c.Answered == 0 || int64(c.Answered) > served || served > int64(c.Answered+inFlight) {
		t.Fatalf("%d answers are counted, %d were served", c.Answered, served)
	}
}

func addrOf(t *testing.T, a net.Addr) netip.AddrPort {
	t.Helper()
	addr, err := netip.ParseAddrPort(a.String())
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

func TestHTTP(t *testing.T) {
	tests := []struct {
		name   string
		answer func(http.ResponseWriter)
		fault  string
	}{
		{name: "no content", answer: func(w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) }},
		{name: "a body in pieces", answer: func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "4")
			for range 2 {
				_, _ = io.WriteString(w, "ok")
				w.(http.Flusher).Flush()
			}
		}},
		{name: "a refusal", answer: func(w http.ResponseWriter) { w.WriteHeader(http.StatusTooManyRequests) }, fault: "429"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var served atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if string(body) == load.Reading && strings.HasPrefix(r.URL.Path, "/api/v1/"+load.Token(0)[:6]) {
					served.Add(1)
				}
				tt.answer(w)
			}))
			defer server.Close()
			c, err := drive(t, load.HTTP(addrOf(t, server.Listener.Addr()), 0))
			if tt.fault != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fault) {
					t.Fatalf("the refusal is not told: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			counted(t, c, served.Load(), devices)
		})
	}
}

// broker acknowledges, one byte at a time, whatever is published with QoS 1.
func broker(conn net.Conn, served *atomic.Int64) {
	defer conn.Close()
	for {
		head := make([]byte, 2) // the packets of this test are shorter than 128 bytes
		if _, err := io.ReadFull(conn, head); err != nil {
			return
		}
		body := make([]byte, head[1])
		if _, err := io.ReadFull(conn, body); err != nil {
			return
		}
		answer := []byte{0x20, 2, 0, 0}
		if head[0] == 0x32 {
			served.Add(1)
			id := 2 + int(binary.BigEndian.Uint16(body))
			answer = []byte{0x40, 2, body[id], body[id+1]}
		}
		for _, part := range [][]byte{answer[:1], answer[1:]} {
			if head[0] == 0x10 {
				part = answer
			}
			if _, err := conn.Write(part); err != nil || head[0] == 0x10 {
				break
			}
		}
	}
}

func TestMQTT(t *testing.T) {
	const window = 4
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var served atomic.Int64
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go broker(conn, &served)
		}
	}()
	c, err := drive(t, load.MQTT(addrOf(t, ln.Addr()), 0, window))
	if err != nil {
		t.Fatal(err)
	}
	counted(t, c, served.Load(), devices*window)
}

// coapServer answers with code, every third request with an empty ACK and a
// separate response, and drops every seventh.
func coapServer(conn net.PacketConn, code byte, served, hosts *atomic.Int64) {
	seen := map[string]bool{}
	buf := make([]byte, 256)
	for n := 1; ; n++ {
		size, from, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		if host, _, _ := net.SplitHostPort(from.String()); !seen[host] {
			seen[host] = true
			hosts.Add(1)
		}
		if buf[1] != 2 || size < 50 || n%7 == 0 { // not a POST, or dropped
			continue
		}
		answer := append([]byte{0x64, code, buf[2], buf[3]}, buf[4:8]...)
		if n%3 == 0 {
			_, _ = conn.WriteTo([]byte{0x60, 0, buf[2], buf[3]}, from)
			answer[0], answer[2] = 0x44, 0xee
		}
		served.Add(1)
		_, _ = conn.WriteTo(answer, from)
	}
}

func TestCoAP(t *testing.T) {
	for _, tt := range []struct {
		name  string
		code  byte
		fault string
	}{{"created", 0x41, ""}, {"refused", 0x9d, "4.29"}} {
		t.Run(tt.name, func(t *testing.T) {
			conn, err := net.ListenPacket("udp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			var served, hosts atomic.Int64
			go coapServer(conn, tt.code, &served, &hosts)
			c, err := drive(t, load.CoAP(addrOf(t, conn.LocalAddr()), load.Token))
			if tt.fault != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fault) {
					t.Fatalf("the refusal is not told: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			counted(t, c, served.Load(), devices*(c.Lost+1))
			if hosts.Load() != devices || c.Lost == 0 {
				t.Fatalf("%d hosts, %d lost; want %d hosts, and what was dropped asked anew", hosts.Load(), c.Lost, devices)
			}
		})
	}
}
