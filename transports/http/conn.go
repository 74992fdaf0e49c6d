package http

import (
	"bytes"
	"net"
	nethttp "net/http"
	"net/netip"
	"strconv"
	"sync/atomic"

	"github.com/weirgate/weir/quota"
	"github.com/weirgate/weir/transports"
)

// listener hands net/http connections that keep what is computed once for all
// their requests.
type listener struct {
	net.Listener
	s *Server
}

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, s: l.s}, nil
}

// conn is a connection and the scratch of its requests. HTTP/1.1 has one at a
// time, and the next begins when the last one's answer is written, so that
// nothing here needs a lock; HTTP/2 would need it apart.
type conn struct {
	net.Conn
	s    *Server
	hand atomic.Uint32 // what Shutdown does about it

	settled  bool       // the next two are known
	forwards bool       // the peer is a trusted proxy that may name its client
	peer     netip.Addr // of the connection
	client   netip.Addr // whom host was made of
	host     transports.Host

	pkHost      transports.Host // whom pk was made of
	pk          string
	policy      *quota.Policy // what policyField was made of
	policyField []string
	limitField  [1]string
	charge      transports.Charge
	header      nethttp.Header // of the request, while it is charged

	req   request
	said  bool // the answer to this request has begun
	is509 bool // the next write begins an answer with status 509
}

// request is what the answer to a request needs of its admission.
type request struct {
	host     transports.Host
	decision quota.Decision
	msg      transports.Message // its payload is set for Gate.Submit only
	read     bool               // the body has been read
}

type connKey struct{}

func connOf(r *nethttp.Request) *conn { return r.Context().Value(connKey{}).(*conn) }

// CloseWrite lets net/http end an answer whose request it will not read.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Header is a field of the request that is being charged.
func (c *conn) Header(name string) string { return c.header.Get(name) }

// settle finds out whose the connection is, once.
func (c *conn) settle() {
	c.settled = true
	addr, counted := c.s.cfg.Peer(c.Conn)
	c.peer = addr
	switch {
	case c.s.cfg.TrustedProxies.Contains(addr):
		c.forwards = true
	case counted:
		c.client, c.host = addr, c.s.cfg.Gate.Host(addr)
	}
}

// What net/http writes of its own accord about requests that it cannot read.
const (
	plainHeaders = "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
	statusLine   = len("HTTP/1.1 400")
	maxPlain     = 512 // they are under 200 bytes
)

// The status line of a 509, for which net/http knows no reason phrase.
var (
	bare509  = []byte(" 509 status code 509\r\n")
	named509 = []byte(" 509 Bandwidth Limit Exceeded\r\n")
)

// Write writes an answer. net/http begins each with a write of its own, so that
// what it says in the wrong words can be put right here: the reason phrase of a
// 509, and its own refusals of malformed requests, which would be plain text.
func (c *conn) Write(p []byte) (int, error) {
	if c.is509 {
		c.is509 = false
		return c.rewritten(p, bytes.Replace(p, bare509, named509, 1))
	}
	if isMalformedAnswer(p) {
		c.s.malformed.Add(1)
		return c.rewritten(p, malformed(p))
	}
	return c.Conn.Write(p)
}

// isMalformedAnswer tells whether p is net/http's own refusal of a request that
// never reached the handler, whose answers are never plain text.
func isMalformedAnswer(p []byte) bool {
	return len(p) > statusLine && len(p) <= maxPlain && (p[9] == '4' || p[9] == '5') &&
		bytes.HasPrefix(p, []byte("HTTP/1.1 ")) && bytes.Contains(p, []byte(plainHeaders))
}

// rewritten writes q and reports it as if it were p.
func (c *conn) rewritten(p, q []byte) (int, error) {
	if _, err := c.Conn.Write(q); err != nil {
		return 0, err
	}
	return len(p), nil
}

// malformed is net/http's plain refusal p as a problem. Its detail repeats
// net/http's own text, which holds nothing that the client sent.
func malformed(p []byte) []byte {
	head, text, _ := bytes.Cut(p, []byte(plainHeaders))
	status, _ := strconv.Atoi(string(head[9:statusLine]))
	body := appendProblem(nil, problem{status: status, title: reason(status), detail: string(text)})
	q := append([]byte(nil), head...)
	q = append(q, "\r\nContent-Type: "+problemJSON+"\r\nConnection: close\r\nContent-Length: "...)
	q = strconv.AppendInt(q, int64(len(body)), 10)
	q = append(q, "\r\n\r\n"...)
	return append(q, body...)
}
