package mqtt

import (
	"context"
	"net"
	"sync"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/weirgate/weir/devices"
	"github.com/weirgate/weir/transports"
)

// conn is one client's connection. To mochi it is a net.Conn that yields only
// the packets mochi is to handle: a packet is handled to its end before the next
// one is read, so that both sides' answers leave in order.
type conn struct {
	srv  *Server
	sock net.Conn

	// Set before the session begins, read-only after.
	host    transports.Host
	device  *devices.Device
	client  string // the client identifier, as the client knows it
	name    string // the session's name, as mochi knows it
	session *session
	resumed bool // session is one that was kept
	terms   terms
	at      time.Time
	greet   greeting // what CONNACK has to add
	mochi   *mochi.Client

	// Owned by the connection's goroutine.
	in        inbox
	pass      []byte // what mochi has still to read
	charge    charge // of the packet being read
	standing  transports.Charge
	pk        packets.Packet
	msg       transports.Message
	aliases   map[uint16]string // bounded by aliasMaximum
	keepAlive time.Duration
	deadline  time.Time     // the read deadline in force
	keepFor   time.Duration // how long the session outlives the connection
	present   bool          // Presence knows of it

	writer sync.WaitGroup

	mu   sync.Mutex // guards below
	room sync.Cond  // acks or asked got shorter, or the connection ends
	acks acks
	// unreleased is how many QoS 2 messages that first came on this connection
	// were not released, which bounds MQTT 5 alone.
	unreleased int
	// asked are the questions under way, and how to give each up; bounded by
	// maxAsking.
	asked map[*inquiry]context.CancelFunc
	out   []byte // to be written; bounded by maxOut
	now   *nowWriter
	// writing: drain is at it. dirty: on the server's list for Flush. dead:
	// nothing more is read or written. leaving: ends when acks and asked are empty. lost:
	// the peer cannot be told anything.
	writing, dirty, dead, leaving, lost bool
	why                                 string // it is dead
}

func newConn(s *Server, sock net.Conn) *conn {
	c := &conn{srv: s, sock: sock, now: writeNow(sock)}
	c.room.L = &c.mu
	return c
}

// Read yields the next packets for mochi, handling all others meanwhile.
func (c *conn) Read(b []byte) (int, error) {
	for len(c.pass) == 0 {
		if err := c.step(); err != nil {
			return 0, err
		}
	}
	n := copy(b, c.pass)
	c.pass = c.pass[n:]
	return n, nil
}

// step handles what was read, or reads more.
func (c *conn) step() error {
	s, st := sizeOf(c.in.unread())
	switch {
	case st == broken:
		return c.malformed()
	case st == cut:
		return c.fill(0)
	}
	if err := c.admit(c.in.unread()[0]); err != nil {
		return err
	}
	if s.total > c.srv.cfg.MaxPacket {
		return c.refuse(&transports.Refusal{Kind: transports.TooLarge})
	}
	if len(c.in.unread()) < s.total {
		return c.fill(s.total)
	}
	verdict := c.charge.refusal
	c.charge = charge{}
	return c.handle(c.in.take(s), &verdict)
}

// charge is what is known of the packet being read.
type charge struct {
	done    bool
	refusal transports.Refusal
}

// admit charges the packet that starts with head, once, and ends the connection
// where that is the answer. Acknowledgements are charged when it is known
// whether anything waits for them.
func (c *conn) admit(head byte) error {
	if c.charge.done || isAck(head>>4) {
		return nil
	}
	c.charge.done = true
	c.charge.refusal = c.srv.cfg.Gate.Admit(transports.MQTT, c.host).Refusal
	r := &c.charge.refusal
	if !r.Refused() || head>>4 == packets.Disconnect {
		return nil
	}
	if reply := c.reply(head, r); reply.Act == transports.Close {
		return c.end(ending{reply.Code, explain(r), r.Kind.Title()})
	}
	return nil
}

func isAck(kind byte) bool { return kind >= packets.Puback && kind <= packets.Pubcomp }

// answer is how r is said to this client.
func (c *conn) answer(r *transports.Refusal) transports.MQTTAnswer {
	a := transports.AnswerTo(r)
	if c.terms.version == 5 {
		return a.MQTT5
	}
	return a.MQTT3
}

// reply is what becomes of a packet that starts with head and is refused.
func (c *conn) reply(head byte, r *transports.Refusal) transports.MQTTReply {
	a := c.answer(r)
	switch {
	case head>>4 == packets.Subscribe:
		return a.Subscribe
	case head>>4 != packets.Publish:
		return a.Other
	case head&6 == 0:
		return a.Publish0
	}
	return a.Publish
}

// fill reads from the socket; total is how long the packet being read is, 0 if
// that is not known.
func (c *conn) fill(total int) error {
	if err := c.ready(); err != nil {
		return err
	}
	n, err := c.sock.Read(c.in.space(total))
	c.in.w += n
	if n > 0 || err == nil {
		return nil
	}
	return c.unreadable(err)
}

// ready prepares to wait for the client: its acknowledgements leave, and its
// deadline moves.
func (c *conn) ready() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leaving {
		c.settleAll()
	}
	if c.dead {
		return errEnded
	}
	c.flush()
	if now := time.Now(); c.keepAlive > 0 && now.Add(c.keepAlive).Sub(c.deadline) > c.keepAlive/16 {
		c.deadline = now.Add(c.keepAlive)
		_ = c.sock.SetReadDeadline(c.deadline)
	}
	return nil
}

// Close is how mochi ends the connection.
func (c *conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stop("")
	return nil
}

// LocalAddr and RemoteAddr are the socket's.
func (c *conn) LocalAddr() net.Addr  { return c.sock.LocalAddr() }
func (c *conn) RemoteAddr() net.Addr { return c.sock.RemoteAddr() }

// Deadlines are this package's own: mochi sees only some of the packets.
func (c *conn) SetDeadline(time.Time) error      { return nil }
func (c *conn) SetReadDeadline(time.Time) error  { return nil }
func (c *conn) SetWriteDeadline(time.Time) error { return nil }
