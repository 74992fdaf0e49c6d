package coap

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// inbox reads up to readBatch datagrams a system call (recvmmsg). It is not
// safe for concurrent use, and must not be copied: the kernel's headers point
// into it.
type inbox struct {
	sock  *socket
	all   [readBatch]datagram
	heads [readBatch]unix.Mmsghdr
	iovs  [readBatch]unix.Iovec
	names [readBatch]unix.RawSockaddrInet6
	ctls  [readBatch]controlData
	slab  [readBatch][frameLen]byte
	recv  func(fd uintptr) bool
	n     int
	errno syscall.Errno
}

func newInbox(s *socket) *inbox {
	in := &inbox{sock: s}
	for i := range in.heads {
		h := &in.heads[i].Hdr
		in.iovs[i].Base = &in.slab[i][endpointLen]
		in.iovs[i].SetLen(frameLen - endpointLen)
		h.Iov = &in.iovs[i]
		h.SetIovlen(1)
		h.Name = (*byte)(unsafe.Pointer(&in.names[i]))
		if s.wild {
			h.Control = (*byte)(unsafe.Pointer(&in.ctls[i]))
		}
	}
	in.recv = in.receive // bound once, so that a read allocates nothing
	return in
}

// read waits for at least one datagram and gives what is there.
func (in *inbox) read() ([]datagram, error) {
	for i := range in.heads {
		h := &in.heads[i].Hdr
		h.Namelen = unix.SizeofSockaddrInet6
		if in.sock.wild {
			h.SetControllen(int(unsafe.Sizeof(controlData{})))
		}
	}
	if err := in.sock.raw.Read(in.recv); err != nil {
		return nil, err
	}
	if in.errno != 0 {
		return nil, in.errno
	}
	for i := range in.n {
		d := &in.all[i]
		d.remote = endpointOf(&in.names[i])
		d.frame = in.slab[i][:endpointLen+int(in.heads[i].Len)]
		if in.sock.wild {
			d.local = destination(&in.heads[i].Hdr, &in.ctls[i])
		}
	}
	return in.all[:in.n], nil
}

// receive is one attempt; false asks the runtime to wait for the socket.
func (in *inbox) receive(fd uintptr) bool {
	n, _, errno := syscall.Syscall6(unix.SYS_RECVMMSG, fd,
		uintptr(unsafe.Pointer(&in.heads[0])), readBatch, unix.MSG_DONTWAIT, 0, 0)
	if errno == unix.EAGAIN {
		return false
	}
	if errno == unix.EINTR {
		n, errno = 0, 0 // the caller reads again
	}
	in.n, in.errno = int(n), errno
	return true
}

// outbox gathers short datagrams and writes them in one system call (sendmmsg).
// It is not safe for concurrent use, and must not be copied.
type outbox struct {
	sock    *socket
	n       int
	dropped *counter
	heads   [writeBatch]unix.Mmsghdr
	iovs    [writeBatch]unix.Iovec
	names   [writeBatch]unix.RawSockaddrInet6
	ctls    [writeBatch]controlData
	slab    [writeBatch][maxShort]byte
	send    func(fd uintptr) bool
}

// newOutbox makes an outbox that counts in dropped what the socket refused.
func newOutbox(s *socket, dropped *counter) *outbox {
	o := &outbox{sock: s, dropped: dropped}
	for i := range o.heads {
		o.heads[i].Hdr.Iov = &o.iovs[i]
		o.heads[i].Hdr.SetIovlen(1)
	}
	o.send = o.transmit
	return o
}

// room is where the next short datagram is to be written before post.
func (o *outbox) room() []byte {
	if o.n == writeBatch {
		o.flush()
	}
	return o.slab[o.n][:]
}

// post has the first n bytes of room go to a peer, from a local address.
func (o *outbox) post(n int, to *endpoint, from address) {
	o.queue(o.slab[o.n][:n], to, from)
}

// postLong sends a datagram of any length, after those gathered.
func (o *outbox) postLong(p []byte, to *endpoint, from address) {
	o.flush()
	o.queue(p, to, from)
	o.flush()
	o.iovs[0].Base = nil
}

func (o *outbox) queue(p []byte, to *endpoint, from address) {
	i := o.n
	o.iovs[i].Base = &p[0]
	o.iovs[i].SetLen(len(p))
	o.sock.setName(&o.heads[i].Hdr, &o.names[i], to)
	o.sock.mark(&o.heads[i].Hdr, &o.ctls[i], from)
	o.n++
}

// flush writes what is gathered. It never waits: what a full socket does not
// take is lost like any datagram, and the peer's retransmission is answered.
func (o *outbox) flush() {
	if o.n == 0 {
		return
	}
	if err := o.sock.raw.Write(o.send); err != nil {
		o.dropped.Add(uint64(o.n))
	}
	o.n = 0
}

// transmit writes all; a datagram that the kernel refuses (a filter, no route)
// is skipped, at a full socket the rest is.
func (o *outbox) transmit(fd uintptr) bool {
	for at := 0; at < o.n; {
		n, _, errno := syscall.Syscall6(unix.SYS_SENDMMSG, fd,
			uintptr(unsafe.Pointer(&o.heads[at])), uintptr(o.n-at), unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			at += int(n)
		case unix.EINTR:
		case unix.EAGAIN:
			o.dropped.Add(uint64(o.n - at))
			return true
		default:
			o.dropped.Add(1)
			at++
		}
	}
	return true
}
