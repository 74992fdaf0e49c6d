package coap

import (
	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/udp/coder"

	"github.com/weirgate/weir/transports"
)

// maxDiagnostic is the longest diagnostic payload in bytes: with the longest
// header, options and marker an error fits an outbox's room.
const maxDiagnostic = 128

// amplification is how many bytes an error may have for each of the request's:
// what RFC 9175 2.4 lets a server send to a source that nothing vouches for. A
// diagnostic that does not fit is left out.
const amplification = 3

// response is what is to be said. The zero response is an empty message.
type response struct {
	code    codes.Code
	maxAge  int   // seconds; omitted: the option is left out
	block1  block // told back where it is set
	block2  block
	etag    [8]byte // with block2
	content []byte  // of a 2.05, which is JSON
	reason  string  // an error's diagnostic payload
}

// omitted is a maxAge that is not told.
const omitted = -1

// created is the answer to a message that is stored.
func created() response { return response{code: codes.Created, maxAge: omitted} }

// refusal is the answer to a request that is not served. Max-Age tells the wait
// (RFC 7252 5.10.5), and is 0 where there is none: an error is not to be reused.
func refusal(r *transports.Refusal) response {
	return response{
		code:   codes.Code(transports.AnswerTo(r).CoAP),
		maxAge: max(r.Wait, 0),
		reason: r.Reason(),
	}
}

// failure is the answer to a request that CoAP itself has a code for.
func failure(code codes.Code, reason string) response { return response{code: code, reason: reason} }

// again is the answer told once more. Its diagnostic payload is not kept, and
// so left out; code and Max-Age are the same.
func again(r repeat) response { return response{code: codes.Code(r.code), maxAge: r.age()} }

// envelope is a response's place in an exchange: its type, message id and token,
// and the length of the request.
type envelope struct {
	kind  message.Type
	mid   uint16
	token []byte
	asked int
}

// encoder writes messages. Its scratch space is its own, so that writing
// allocates nothing; it is not safe for concurrent use.
type encoder struct {
	options [5]message.Option
	values  [24]byte
	text    [maxDiagnostic]byte
}

// empty writes an empty message (RFC 7252 4.1), a RST or an ACK.
func (c *encoder) empty(to envelope, buf []byte) int {
	n, _ := coder.DefaultCoder.Encode(message.Message{Type: to.kind, MessageID: int32(to.mid)}, buf)
	return n
}

// encode writes r into buf and gives the length; 0 if buf is too short.
func (c *encoder) encode(to envelope, r *response, buf []byte) int {
	m := message.Message{
		Type: to.kind, MessageID: int32(to.mid), Token: to.token, Code: r.code,
		Options: c.optionsOf(r), Payload: r.content,
	}
	room := min(amplification*to.asked-maxErrorHead, maxDiagnostic)
	if n := len(r.reason); n > 0 && n <= room {
		m.Payload = c.text[:copy(c.text[:], r.reason)]
	}
	n, err := coder.DefaultCoder.Encode(m, buf)
	if err != nil {
		return 0
	}
	return n
}

// maxErrorHead is the longest error without its diagnostic: header, token,
// Max-Age of four bytes, payload marker.
const maxErrorHead = headerLen + message.MaxTokenSize + 6 + 1

// optionsOf are r's options, in the order of their numbers.
func (c *encoder) optionsOf(r *response) message.Options {
	o, values := c.options[:0], c.values[:]
	put := func(id message.OptionID, v uint32) {
		n, _ := message.EncodeUint32(values, v)
		o = append(o, message.Option{ID: id, Value: values[:n]})
		values = values[n:]
	}
	if r.block2.set {
		n := copy(values, r.etag[:])
		o = append(o, message.Option{ID: message.ETag, Value: values[:n]})
		values = values[n:]
	}
	if r.content != nil {
		put(message.ContentFormat, uint32(message.AppJSON))
	}
	if r.maxAge != omitted {
		put(message.MaxAge, uint32(r.maxAge))
	}
	if r.block2.set {
		put(message.Block2, r.block2.value())
	}
	if r.block1.set {
		put(message.Block1, r.block1.value())
	}
	return o
}

// sender says things to peers over an outbox. It is not safe for concurrent use.
type sender struct {
	*outbox
	encoder
}

func newSender(sock *socket, dropped *counter) *sender {
	return &sender{outbox: newOutbox(sock, dropped)}
}

// say gathers a response.
func (s *sender) say(to envelope, r *response, remote *endpoint, local address) {
	if len(r.content) > 0 {
		s.postLong(packetOf(to, r), remote, local)
		return
	}
	if n := s.encode(to, r, s.room()); n > 0 {
		s.post(n, remote, local)
	}
}

// sayEmpty gathers an empty message.
func (s *sender) sayEmpty(to envelope, remote *endpoint, local address) {
	s.post(s.empty(to, s.room()), remote, local)
}

// packetOf is a response as bytes of its own.
func packetOf(to envelope, r *response) []byte {
	buf := make([]byte, maxShort+len(r.content))
	var c encoder
	return buf[:c.encode(to, r, buf)]
}
