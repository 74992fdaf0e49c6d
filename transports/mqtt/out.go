package mqtt

import (
	"net"
	"syscall"
	"time"
)

// Write sends one whole packet without blocking: what the socket does not take
// at once is kept, up to maxOut. It is how mochi writes.
func (c *conn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return 0, net.ErrClosed
	}
	c.put(b)
	c.flush()
	return len(b), nil
}

// put appends to what is to be written; mu is held.
func (c *conn) put(b []byte) { c.keep(append(c.out, b...)) }

// keep makes b what is to be written, or gives the client up if that is too
// much; mu is held.
func (c *conn) keep(b []byte) {
	c.out = b
	if len(b) > maxOut {
		c.giveUp("does not read")
	}
}

// giveUp ends a connection that nothing can be said to any more; mu is held.
func (c *conn) giveUp(why string) {
	c.out, c.lost = nil, true
	c.stop(why)
	_ = c.sock.SetDeadline(past) // also ends a write that hangs
}

// past is a deadline that makes whoever waits for the socket return.
var past = time.Unix(1, 0)

// flush writes what the socket takes now, and leaves the rest to a goroutine
// that waits for it; mu is held.
func (c *conn) flush() {
	if c.writing || len(c.out) == 0 {
		return
	}
	if c.now != nil {
		n, err := c.now.write(c.out)
		if err != nil {
			c.giveUp("connection lost")
			return
		}
		c.out = c.out[:copy(c.out, c.out[n:])]
		if len(c.out) == 0 {
			c.shrink()
			return
		}
	}
	c.writing = true
	c.writer.Add(1)
	go c.drain()
}

// spareOut is the capacity that an empty output buffer may keep, in bytes.
const spareOut = 4 << 10

func (c *conn) shrink() {
	if cap(c.out) > spareOut {
		c.out = nil
	}
}

// drain writes until nothing is left. One such goroutine a connection, which
// waits for it before it closes.
func (c *conn) drain() {
	defer c.writer.Done()
	for {
		b, ok := c.batch()
		if !ok {
			return
		}
		if _, err := c.sock.Write(b); err != nil {
			c.mu.Lock()
			c.writing = false
			c.giveUp("connection lost")
			c.mu.Unlock()
			return
		}
	}
}

// batch is what drain writes next; false when there is nothing left.
func (c *conn) batch() ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.out) == 0 {
		c.writing = false
		return nil, false
	}
	b := c.out
	c.out = nil
	limit := stallLimit
	if c.dead {
		limit = lastWord
	}
	_ = c.sock.SetWriteDeadline(time.Now().Add(limit))
	return b, true
}

// finish writes the last packet, as far as the peer takes it, and closes.
func (c *conn) finish() {
	c.mu.Lock()
	c.stop("closed")
	c.flush()
	_ = c.sock.SetWriteDeadline(time.Now().Add(lastWord))
	linger := !c.lost && !c.writing
	c.mu.Unlock()
	c.writer.Wait()
	if linger {
		c.linger()
	}
	_ = c.sock.Close()
}

// linger lets the peer read the last packet: closing a socket with unread input
// resets it, and the packet is lost on the way.
func (c *conn) linger() {
	half, ok := c.sock.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	_ = c.sock.SetReadDeadline(time.Now().Add(lingerLimit))
	var waste [1 << 10]byte
	for range 256 { // 256 KiB: more than a socket's receive buffer usually holds
		if _, err := c.sock.Read(waste[:]); err != nil {
			return
		}
	}
}

// writeNow finds a way to write to a connection without waiting; nil if there
// is none, as for TLS.
func writeNow(c net.Conn) *nowWriter {
	sc, ok := c.(syscall.Conn)
	if proxied, is := c.(interface{ TCPConn() (*net.TCPConn, bool) }); is && !ok {
		sc, ok = proxied.TCPConn()
	}
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil || !canWriteNow {
		return nil
	}
	w := &nowWriter{raw: raw}
	w.try = w.attempt
	return w
}

// nowWriter writes what a socket takes without waiting. It is used under the
// connection's lock.
type nowWriter struct {
	raw syscall.RawConn
	try func(fd uintptr) bool // attempt, bound once
	b   []byte
	n   int
	err error
}

func (w *nowWriter) write(b []byte) (int, error) {
	w.b, w.n, w.err = b, 0, nil
	if err := w.raw.Write(w.try); err != nil {
		return 0, err
	}
	w.b = nil
	return w.n, w.err
}

func (w *nowWriter) attempt(fd uintptr) bool {
	w.n, w.err = tryWrite(fd, w.b)
	return true
}
