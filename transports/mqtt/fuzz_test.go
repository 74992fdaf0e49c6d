package mqtt_test

import (
	"bufio"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/transports/mqtt"
)

// FuzzPackets sends any bytes, instead of CONNECT and after a good one, in both
// versions. Whatever they are, the process lives and others are served. Give it
// -fuzzminimizetime 200x: coverage differs from run to run, which the minimizer
// takes for news.
func FuzzPackets(f *testing.F) {
	for _, v := range []byte{4, 5} {
		for _, seed := range [][]byte{
			publish(v, 0, 0, telemetry, `{}`), publish(v, 1, 1, telemetry, `{}`), publish(v, 2, 1, "x", `{}`),
			subscribe(v, 1, "#", attributes), unsubscribe(v, 1, attributes), pubrel(1),
			frame(0x82, []byte{0, 1}, props(v), text("a")), frame(0x82, []byte{0, 1}, props(v), []byte{0}),
			connect(v, hello{user: "tok1", id: "c", will: "w"}), connect(v, hello{clean: true}),
			publish(v, 1, 1, "", `{}`, []byte{0x23, 0, 1}), publish(v, 1, 1, attributes+"/request/1", `{}`),
			{0xC0, 0}, {0xE0, 0}, {0xE0, 2, 4, 0}, {0xF0, 2, 0, 0}, {0x40, 2, 0, 1}, {0x50, 2, 0, 1}, {0x70, 2, 0, 1},
			{0x82, 3, 0, 1, 0x80}, {0x82, 4, 0, 1, 2, 0x0B}, {0x10, 0xFF, 0xFF, 0xFF, 0xFF},
		} {
			f.Add(v, true, seed)
			f.Add(v, false, seed)
		}
	}
	pipes := pipeListener{make(chan net.Conn), make(chan struct{}), &sync.Once{}}
	r := newRig(f, func(cfg *mqtt.Config) {
		_ = cfg.Listener.Close()
		cfg.Listener = pipes
	})
	near := pipes.dial()
	f.Cleanup(func() { _ = near.Close() })
	bystander := &client{f, 5, near, bufio.NewReader(near)}
	bystander.send(connect(5, hello{user: "tok2", id: "b", clean: true}))
	bystander.connack()
	f.Fuzz(func(t *testing.T, v byte, after bool, b []byte) {
		if after {
			b = append(connect(4+v&1, hello{user: "tok1", id: "c", clean: true}), b...)
		}
		c := pipes.dial()
		heard := make(chan struct{})
		go func() {
			_, _ = io.Copy(io.Discard, c)
			close(heard)
		}()
		_, _ = c.Write(b) // it may be closed before it has read all
		_ = c.Close()
		<-heard
		require.NoError(t, bystander.SetDeadline(time.Now().Add(patience)))
		bystander.t = t
		bystander.ping()
		require.Zero(t, r.srv.Stats().Panics, r.log.String())
	})
}

// pipeListener is a listener without ports, of which fuzzing would run out.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   *sync.Once
}

func (l pipeListener) dial() net.Conn {
	near, far := net.Pipe()
	l.conns <- far
	return near
}

func (l pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }
