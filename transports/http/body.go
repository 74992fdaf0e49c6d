package http

import (
	"errors"
	"io"
	nethttp "net/http"
	"os"

	"github.com/weirgate/weir/transports"
)

// A buffer begins at firstBuffer bytes and grows with what arrives, not with
// what is announced, so that a slow sender holds no more than it has sent; one
// over keepBuffer is not kept for the next request.
const (
	firstBuffer = 2 << 10
	keepBuffer  = 16 << 10
)

func (s *Server) buffer() *[]byte { return s.buffers.Get().(*[]byte) }

func (s *Server) keep(b *[]byte) {
	if cap(*b) <= keepBuffer {
		s.buffers.Put(b)
	}
}

// readBody appends the body to buf. A body announced as too large is not read
// at all, one that turns out to be no further than the bound.
func (s *Server) readBody(w nethttp.ResponseWriter, r *nethttp.Request, buf []byte) ([]byte, transports.Refusal) {
	tooLarge := transports.Refusal{Kind: transports.TooLarge, Detail: s.tooLarge}
	if r.ContentLength > s.cfg.MaxBody {
		return buf, tooLarge
	}
	c := connOf(r)
	c.expectBody()
	defer c.hand.Store(answering)
	body := r.Body
	if r.ContentLength < 0 { // chunked: its end is not known
		body = nethttp.MaxBytesReader(w, body, s.cfg.MaxBody)
	}
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := body.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err == nil {
			continue
		}
		if errors.Is(err, io.EOF) {
			return buf, transports.Refusal{}
		}
		if s.leaving.Load() && errors.Is(err, os.ErrDeadlineExceeded) {
			return buf, transports.Refusal{Kind: transports.ShuttingDown}
		}
		var over *nethttp.MaxBytesError
		if errors.As(err, &over) {
			return buf, tooLarge
		}
		return buf, transports.Refusal{Kind: transports.BadPayload, Detail: "the body did not arrive whole"}
	}
}
