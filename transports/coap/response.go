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
	maxAge  uint8 // seconds; noMaxAge: the option is left out
	block1  block // told back where it is set
	block2  block
	etag    [8]byte // with block2
	content []byte  // of a 2.05, which is JSON
	reason  string  // an error's diagnostic payload
}

// created is the answer to a message that is stored.
func created() response { return response{code: codes.Created, maxAge: noMaxAge} }

// refusal is the answer to a request that is not served. Max-Age tells the wait
// (RFC 7252 5.10.5), and is 0 where there is none: an error is not to be reused.
func refusal(r *transports.Refusal) response {
	return response{
		code:   codes.Code(transports.AnswerTo(r).CoAP),
		maxAge: uint8(min(max(r.Wait, 0), noMaxAge-1)),
		reason: r.Reason(),
	}
}

// failure is the answer to a request that CoAP itself has a code for.
func failure(code codes.Code, reason string) response { return response{code: code, reason: reason} }

// again is the answer told once more. Its diagnostic payload is not kept, and
// so left out; code and Max-Age are the same.
func again(r repeat) response { return response{code: codes.Code(r.code), maxAge: r.maxAge} }

// envelope is a response's place in an exchange: its type, message id and token,
// and the length of the request.
type envelope struct {
	kind  message.Type
	mid   uint16
	token []byte
	asked int
}

// reset and emptyAck are the two empty messages that are sent.
func (e envelope) empty(buf []byte) int {
	n, _ := coder.DefaultCoder.Encode(message.Message{Type: e.kind, MessageID: int32(e.mid)}, buf)
	return n
}

// encode writes r into buf, which is long enough, and gives the length.
func (e envelope) encode(r *response, buf []byte) int {
	var options [5]message.Option
	var scratch [16]byte
	var text [maxDiagnostic]byte
	m := message.Message{
		Type: e.kind, MessageID: int32(e.mid), Token: e.token, Code: r.code,
		Options: r.options(options[:0], scratch[:]), Payload: r.content,
	}
	if room := amplification*e.asked - maxErrorHead; len(r.reason) > 0 && len(r.reason) <= min(room, maxDiagnostic) {
		m.Payload = text[:copy(text[:], r.reason)]
	}
	n, err := coder.DefaultCoder.Encode(m, buf)
	if err != nil {
		return 0 // buf is too short: a fault of ours, and no datagram goes
	}
	return n
}

// maxErrorHead is the longest error without its diagnostic: header, token,
// Max-Age of one byte, payload marker.
const maxErrorHead = headerLen + message.MaxTokenSize + 3 + 1

// options are r's, in the order of their numbers; the values lie in scratch.
func (r *response) options(o message.Options, scratch []byte) message.Options {
	put := func(id message.OptionID, v uint32) {
		n, _ := message.EncodeUint32(scratch, v)
		o = append(o, message.Option{ID: id, Value: scratch[:n]})
		scratch = scratch[n:]
	}
	if r.block2.set {
		o = append(o, message.Option{ID: message.ETag, Value: r.etag[:]})
	}
	if r.content != nil {
		put(message.ContentFormat, uint32(message.AppJSON))
	}
	if r.maxAge != noMaxAge {
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
