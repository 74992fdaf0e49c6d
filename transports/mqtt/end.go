package mqtt

import (
	"errors"
	"os"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/weirgate/weir/transports"
)

// errEnded is what mochi reads at the end; it goes nowhere from there.
var errEnded = errors.New("mqtt: the connection has ended")

// ending is why and how a connection ends.
type ending struct {
	code  byte // of DISCONNECT, MQTT 5 only; 0: none is sent
	props packets.Properties
	why   string // for events
}

// end ends the connection, the first time it is called, without blocking; the
// connection's own goroutine writes what is left and closes.
func (c *conn) end(e ending) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endLocked(e)
	return errEnded
}

// endLocked is end with mu held.
func (c *conn) endLocked(e ending) {
	if c.dead {
		return
	}
	if e.code != 0 && c.terms.version == 5 {
		c.put(c.terms.fit(packets.Packet{
			FixedHeader: header(packets.Disconnect), ReasonCode: e.code, Properties: e.props,
		}))
	}
	c.stop(e.why)
}

// stop makes every wait of the connection's goroutine return; mu is held.
func (c *conn) stop(why string) {
	if c.why == "" {
		c.why = why
	}
	if !c.dead {
		c.dead = true
		_ = c.sock.SetReadDeadline(past)
		for _, giveUp := range c.asked {
			giveUp()
		}
		c.room.Broadcast()
	}
}

// refuse ends the connection as r's answer says, whatever the packet was.
func (c *conn) refuse(r *transports.Refusal) error {
	return c.end(ending{c.answer(r).Other.Code, explain(r), r.Kind.Title()})
}

// malformed ends a connection whose bytes are no MQTT.
func (c *conn) malformed() error { return c.violation(malformedPacket) }

// violation ends a connection that breaks the protocol, and counts it.
func (c *conn) violation(code byte) error {
	c.srv.counts.malformed.Add(1)
	why := "protocol error"
	if code == malformedPacket {
		why = "malformed packet"
	}
	return c.end(ending{code: code, why: why})
}

// leave ends the connection as soon as nothing is owed to the client.
func (c *conn) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leaving = true
	_ = c.sock.SetReadDeadline(past)
}

// settleAll waits until nothing is owed, acknowledgements and answers, and says
// goodbye; mu is held.
func (c *conn) settleAll() {
	for (c.acks.n > 0 || len(c.asked) > 0) && !c.dead {
		c.room.Wait()
	}
	c.endLocked(goodbye())
}

// unreadable ends a connection that cannot be read any more.
func (c *conn) unreadable(err error) error {
	c.mu.Lock()
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		c.lost = true
		c.stop("connection lost")
	}
	dead, leaving := c.dead, c.leaving
	c.mu.Unlock()
	switch {
	case dead:
		return errEnded
	case leaving:
		return nil
	}
	return c.end(ending{code: keepAliveTimeout, why: "keep alive timeout"})
}
