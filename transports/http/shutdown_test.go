package http_test

import (
	"bytes"
	"context"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/transports/http"
)

func TestShutdown(t *testing.T) {
	open := func(w *world) (*http.Server, chan error) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		s := http.New(&http.Config{Listener: ln, Gate: w.gate()})
		ended := make(chan error, 1)
		go func() { ended <- s.Serve() }()
		return s, ended
	}
	t.Run("answers what is in hand", func(t *testing.T) {
		w := &world{hold: true}
		s, ended := open(w)
		c := connect(t, s)
		_, err := c.Write([]byte(post("/api/v1/pump/telemetry", "{}")))
		require.NoError(t, err)
		require.Eventually(t, func() bool { return w.keptBack() == 1 }, 10*time.Second, time.Millisecond)
		done := make(chan error, 1)
		go func() { done <- s.Shutdown(t.Context()) }()
		require.NoError(t, <-ended)
		w.complete()
		require.Equal(t, 200, c.read("POST").StatusCode)
		require.NoError(t, <-done)
		require.NoError(t, s.Shutdown(t.Context()), "again is no harm")
		_, err = net.Dial("tcp", s.Addr().String())
		require.Error(t, err)
	})
	t.Run("never says a false yes", func(t *testing.T) {
		w := &world{hold: true}
		s, ended := open(w)
		c := connect(t, s)
		_, err := c.Write([]byte(post("/api/v1/pump/telemetry", "{}")))
		require.NoError(t, err)
		require.Eventually(t, func() bool { return w.keptBack() == 1 }, 10*time.Second, time.Millisecond)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, s.Shutdown(ctx), context.Canceled)
		require.NoError(t, <-ended)
		got := c.read("POST")
		require.Equal(t, 503, got.StatusCode)
		require.True(t, got.Close)
		w.complete() // the store still has it: nobody waits, nothing blocks
	})
	t.Run("refuses a question in hand", func(t *testing.T) {
		w := &world{silent: true}
		s, ended := open(w)
		c := connect(t, s)
		_, err := c.Write([]byte(get("/api/v1/pump/attributes")))
		require.NoError(t, err)
		require.Eventually(t, func() bool { return w.identified.Load() == 1 }, 10*time.Second, time.Millisecond)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, s.Shutdown(ctx), context.Canceled)
		require.NoError(t, <-ended)
		require.Equal(t, 503, c.read("GET").StatusCode)
	})
	t.Run("waits for nobody with nothing in hand", func(t *testing.T) {
		w := &world{}
		s, ended := open(w)
		silent, half, idle := connect(t, s), connect(t, s), connect(t, s)
		_, err := half.Write([]byte("POST /api/v1/pump/tele"))
		require.NoError(t, err)
		require.Equal(t, 200, idle.do(post("/api/v1/pump/telemetry", "{}")).StatusCode)
		again := connect(t, s)
		require.Equal(t, 200, again.do(post("/api/v1/pump/telemetry", "{}")).StatusCode)
		_, err = again.Write([]byte("POST /api/v1/pump/tele"))
		require.NoError(t, err)
		require.Eventually(t, func() bool { return s.Stats().Connections == 4 }, 10*time.Second, time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		require.NoError(t, s.Shutdown(ctx))
		require.NoError(t, <-ended)
		for _, c := range []*client{silent, half, idle, again} {
			_, err := c.r.ReadByte()
			require.Error(t, err)
			require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
		}
	})
	for name, head := range map[string]string{
		"refuses a body that does not come":         "Content-Length: 100\r\n\r\n{",
		"refuses a chunked body that does not come": "Transfer-Encoding: chunked\r\n\r\n4\r\n{",
		"refuses a body that is asked for in vain":  "Expect: 100-continue\r\nContent-Length: 100\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{}
			s, ended := open(w)
			c := connect(t, s)
			_, err := c.Write([]byte("POST /api/v1/pump/telemetry HTTP/1.1\r\nHost: w\r\n" + head))
			require.NoError(t, err)
			require.Eventually(t, func() bool { return w.identified.Load() == 1 }, 10*time.Second, time.Millisecond)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			require.NoError(t, s.Shutdown(ctx))
			require.NoError(t, <-ended)
			got := c.read("POST")
			if got.StatusCode == 100 {
				got = c.read("POST")
			}
			require.Equal(t, 503, got.StatusCode)
			require.True(t, got.Close)
			require.Empty(t, w.stored)
		})
	}
	t.Run("cuts off who does not take an answer", func(t *testing.T) {
		w := &world{answer: bytes.Repeat([]byte("x"), 64<<20)}
		s, ended := open(w)
		c := connect(t, s)
		_, err := c.Write([]byte(get("/api/v1/pump/attributes")))
		require.NoError(t, err)
		_, err = c.r.ReadByte()
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, s.Shutdown(ctx), context.Canceled)
		require.NoError(t, <-ended)
		require.Zero(t, s.Stats().Connections)
	})
	t.Run("before Serve", func(t *testing.T) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		s := http.New(&http.Config{Listener: ln, Gate: (&world{}).gate()})
		require.NoError(t, s.Shutdown(t.Context()))
		require.NoError(t, s.Serve())
	})
}

// TestTheAnswerHasItsOwnTime: the bound of the answer begins when the request
// has arrived whole, however long its body took.
func TestTheAnswerHasItsOwnTime(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	noted := &deadlines{Listener: ln, write: make(chan time.Time, 10)}
	w := &world{}
	c := connect(t, serve(t, w, &http.Config{Listener: noted}))
	_, err = c.Write([]byte("POST /api/v1/pump/telemetry HTTP/1.1\r\nHost: w\r\nContent-Length: 2\r\n\r\n"))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return w.identified.Load() == 1 }, 10*time.Second, time.Millisecond)
	<-noted.write // that of the head
	whole := time.Now()
	require.Equal(t, 200, c.do("{}").StatusCode)
	require.False(t, (<-noted.write).Before(whole.Add(http.WriteTimeout)))
}

// deadlines notes the write deadlines that connections are given.
type deadlines struct {
	net.Listener
	write chan time.Time
}

func (d *deadlines) Accept() (net.Conn, error) {
	c, err := d.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &noted{c, d}, nil
}

type noted struct {
	net.Conn
	d *deadlines
}

func (n *noted) SetWriteDeadline(at time.Time) error {
	n.d.write <- at
	return n.Conn.SetWriteDeadline(at)
}
