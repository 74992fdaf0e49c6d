package coap

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/maphash"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/weirgate/weir/devices"
	"github.com/weirgate/weir/transports"
)

// maxContent is the longest content of one datagram in bytes (RFC 7252 4.6);
// what is longer goes in blocks of it.
const (
	maxContent = 1024
	maxSZX     = 6 // of blocks of maxContent
)

// maxQuestions bounds the questions under way, a goroutine each; more, and more
// than transports.MaxAsking of one device, are answered 5.03.
const maxQuestions = 256

// ask puts a device's question, in a goroutine of its own.
func (f *front) ask(ctx context.Context, d *datagram, e *exchange, device *devices.Device) {
	question, wanted := f.req.question(), f.req.block2
	if !f.s.asking.Enter(device) {
		f.busy(d, e.hash, device)
		return
	}
	tag, ok := f.begin(d, e, device)
	if !ok {
		f.s.asking.Leave(device)
		return
	}
	f.s.work.Go(func() {
		defer f.s.contain(&tag)
		f.s.call(ctx, tag, device, question, wanted)
	})
}

// call waits for the answer to a question and sends it, or the block wanted.
func (s *Server) call(ctx context.Context, tag uint64, device *devices.Device, question []byte, wanted block) {
	content, r := s.inquire(ctx, device, question)
	answer := response{}
	if r.Refused() {
		answer = refusal(&r)
	} else {
		answer = s.content(content, wanted)
	}
	s.finish(tag, &answer)
	s.Flush()
}

// inquire asks, and gives the question's place back before the device is answered,
// which may ask again at once.
func (s *Server) inquire(ctx context.Context, device *devices.Device, question []byte) ([]byte, transports.Refusal) {
	defer s.asking.Leave(device)
	return s.cfg.Gate.Call(ctx, device, transports.AttributesQuestion, question)
}

// question is the JSON that asks for attributes, as the query names them.
func (r *request) question() []byte {
	var q transports.Question
	for _, query := range r.queries[:min(r.nqueries, maxQueries)] {
		name, value, _ := bytes.Cut(query, []byte("="))
		switch string(name) {
		case "clientKeys":
			q.ClientKeys = string(value)
		case "sharedKeys":
			q.SharedKeys = string(value)
		}
	}
	return q.JSON()
}

// content is the answer that holds c, or the block of it that is wanted (RFC
// 7959 2.4). Nothing is kept between blocks: each asks again, and the ETag tells
// the client whether it still is the same content.
func (s *Server) content(c []byte, wanted block) response {
	if !wanted.set && len(c) <= maxContent {
		return response{code: codes.Content, maxAge: omitted, content: append([]byte{}, c...)}
	}
	if !wanted.set {
		wanted.szx = maxSZX
	}
	from := int(wanted.num) * wanted.size()
	if from > 0 && from >= len(c) {
		return failure(codes.BadRequest, "there is no such block")
	}
	to := min(from+wanted.size(), len(c))
	a := response{
		code: codes.Content, maxAge: omitted, content: append([]byte{}, c[from:to]...),
		block2: block{set: true, more: to < len(c), szx: wanted.szx, num: wanted.num},
	}
	binary.BigEndian.PutUint64(a.etag[:], maphash.Bytes(s.seen.seed, c))
	return a
}
