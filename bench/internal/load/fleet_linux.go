package load

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Session is one device's side of a protocol. A Session keeps a bounded number of
// requests in flight, and sends a new one for each that is answered.
type Session interface {
	// First sends the requests that fill the window. It is called again when
	// nothing has been answered for the fleet's patience.
	First(send Send) error
	// Feed takes what arrived (a datagram, or the next bytes of a stream) and
	// says how many requests it answered. An answer that is not a success is
	// an error: a refusal costs the server another amount.
	Feed(in []byte, send Send) (answered int, err error)
}

// Send writes one datagram, or the next bytes of a stream.
type Send func(b []byte) error

// Dialer opens the socket of device i and the Session on it.
type Dialer func(i int) (fd int, s Session, err error)

// Counts is what a Run did.
type Counts struct {
	Answered int
	// Lost is how many windows went unanswered for the fleet's patience.
	Lost    int
	Elapsed time.Duration
}

// PerSecond is the rate of answers.
func (c Counts) PerSecond() float64 { return float64(c.Answered) / c.Elapsed.Seconds() }

type device struct {
	fd       int
	session  Session
	send     Send
	datagram bool
	progress time.Time
}

// Fleet is a number of devices on one epoll instance. It is used by one
// goroutine.
type Fleet struct {
	epoll    int
	patience time.Duration
	devices  []*device
	started  bool
	buf      []byte
}

// NewFleet makes a Fleet of nobody. patience is how long a datagram socket waits
// for an answer before it asks anew: longer than the server may take, for what is
// asked anew is a new request. Close the Fleet.
func NewFleet(patience time.Duration) (*Fleet, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	return &Fleet{epoll: epoll, patience: patience, buf: make([]byte, 64<<10)}, err
}

// Add dials n devices; handshakes are done when it returns.
func (f *Fleet) Add(n int, dial Dialer) error {
	for i := range n {
		fd, s, err := dial(i)
		if err != nil {
			return fmt.Errorf("device %d: %w", i, err)
		}
		if err := f.add(fd, s); err != nil {
			return fmt.Errorf("device %d: %w", i, err)
		}
	}
	return nil
}

func (f *Fleet) add(fd int, s Session) error {
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return err
	}
	d := &device{fd: fd, session: s, datagram: kind == unix.SOCK_DGRAM, send: func(b []byte) error {
		n, err := unix.Write(fd, b)
		if err == nil && n != len(b) {
			return errors.New("the server stopped reading: a window does not fit the socket")
		}
		return err
	}}
	f.devices = append(f.devices, d)
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(len(f.devices) - 1)}
	return unix.EpollCtl(f.epoll, unix.EPOLL_CTL_ADD, fd, &event)
}

// Run drives the devices for d, and leaves their requests in flight.
func (f *Fleet) Run(d time.Duration) (Counts, error) {
	var c Counts
	start := time.Now()
	if err := f.start(start); err != nil {
		return c, err
	}
	events := make([]unix.EpollEvent, 256)
	sweep := start
	for now := start; now.Sub(start) < d; now = time.Now() {
		n, err := unix.EpollWait(f.epoll, events, 20)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return c, err
		}
		for _, e := range events[:max(n, 0)] {
			answered, err := f.serve(f.devices[e.Fd], now)
			c.Answered += answered
			if err != nil {
				return c, fmt.Errorf("device %d: %w", e.Fd, err)
			}
		}
		if now.Sub(sweep) > f.patience/4 {
			sweep = now
			lost, err := f.nudge(now)
			c.Lost += lost
			if err != nil {
				return c, err
			}
		}
	}
	c.Elapsed = time.Since(start)
	return c, nil
}

// A server's receive buffer holds a few hundred datagrams: the first ones are
// sent burst by burst.
const (
	burst      = 64
	burstPause = 2 * time.Millisecond
)

// start fills every window, at the first Run.
func (f *Fleet) start(now time.Time) error {
	for i, d := range f.devices {
		d.progress = now
		if f.started {
			continue
		}
		if err := d.session.First(d.send); err != nil {
			return err
		}
		if d.datagram && i%burst == burst-1 {
			time.Sleep(burstPause)
		}
	}
	f.started = true
	return nil
}

func (f *Fleet) serve(d *device, now time.Time) (int, error) {
	n, err := unix.Read(d.fd, f.buf)
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return 0, nil
	case err != nil:
		return 0, err
	case n == 0 && !d.datagram:
		return 0, errors.New("the server closed the connection")
	}
	answered, err := d.session.Feed(f.buf[:n], d.send)
	if answered > 0 {
		d.progress = now
	}
	return answered, err
}

// nudge asks anew wherever a datagram or its answer was lost.
func (f *Fleet) nudge(now time.Time) (lost int, err error) {
	for _, d := range f.devices {
		if !d.datagram || now.Sub(d.progress) < f.patience {
			continue
		}
		lost++
		d.progress = now
		if err := d.session.First(d.send); err != nil {
			return lost, err
		}
	}
	return lost, nil
}

// Close closes every socket.
func (f *Fleet) Close() {
	for _, d := range f.devices {
		_ = unix.Close(d.fd)
	}
	_ = unix.Close(f.epoll)
}
