package coap

import (
	"context"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/weirgate/weir/devices"
	"github.com/weirgate/weir/transports"
)

// front handles what is read. It is the read loop's alone, and never waits: an
// answer that is known goes out after the batch, any other one with Complete.
type front struct {
	s   *Server
	in  *inbox
	out *sender
	now time.Time // of the batch
	// completed tells that the store answered within Submit, so that the answers
	// it left go out with the batch.
	completed bool

	parser  *parser
	req     request
	message transports.Message
	charge  transports.Charge
	tag     uint64 // of the exchange that the datagram at hand has begun; 0: none
}

func newFront(s *Server, sock *socket) *front {
	return &front{s: s, in: newInbox(sock), out: newSender(sock, &s.counts.dropped), parser: newParser()}
}

func (f *front) handleAll(ctx context.Context, batch []datagram) {
	f.now = f.s.cfg.Now()
	f.s.counts.datagrams.Add(uint64(len(batch)))
	for i := range batch {
		f.contained(ctx, &batch[i])
	}
	f.out.flush()
	if f.completed {
		f.completed = false
		f.s.Flush()
	}
}

// handle sorts one datagram by its first bytes (RFC 7252 3, 4.2, 4.3).
func (f *front) handle(ctx context.Context, d *datagram) {
	p := d.packet()
	if len(p) < headerLen || p[0]>>6 != 1 || d.remote.port == 0 || d.local.multicast() {
		f.s.counts.ignored.Add(1)
		return
	}
	h := header(p)
	switch class := h.code() >> 5; {
	case h.kind() == message.Acknowledgement || h.kind() == message.Reset:
		f.s.settle(transmission{d.remote, h.mid()})
	case h.code() == codes.Empty || h.tokenLen() > message.MaxTokenSize:
		f.reset(d)
	case class != 0:
		f.s.counts.ignored.Add(1) // a response nobody asked for, or a reserved class
	default:
		f.request(ctx, d)
	}
}

// reset answers a ping (RFC 7252 4.3) or a CON of bad format (4.2), a NON is
// ignored. It counts as a request that carries no token, so that a stranger
// cannot have more of them than a host's quota; one over it gets silence.
func (f *front) reset(d *datagram) {
	h := header(d.packet())
	if h.kind() != message.Confirmable {
		f.s.counts.ignored.Add(1)
		return
	}
	_, a := f.s.cfg.Gate.AdmitDatagram(transports.CoAP, f.host(d), "")
	if a.Refusal.Refused() {
		f.s.counts.refused.Add(1)
		return
	}
	f.s.counts.resets.Add(1)
	f.out.sayEmpty(envelope{kind: message.Reset, mid: h.mid()}, &d.remote, d.local)
}

func (f *front) host(d *datagram) transports.Host { return f.s.cfg.Gate.Host(d.remote.addr()) }

// request takes one request through repeats, admission and what it asks for.
func (f *front) request(ctx context.Context, d *datagram) {
	hash := f.s.seen.hash(d)
	if r := f.s.seen.recall(hash, f.now); r.state != unseen {
		f.repeated(ctx, d, hash, r)
		return
	}
	r := &f.req
	if !f.parser.parse(d.packet(), r) && !d.tooLong() {
		f.reset(d)
		return
	}
	f.s.counts.requests.Add(1)
	host := f.host(d)
	device, a := f.s.cfg.Gate.AdmitDatagram(transports.CoAP, host, r.accessToken())
	if device != nil && !a.Refusal.Refused() {
		a.Refusal = f.limit(host, device)
	}
	if turnedAway(&a.Refusal) {
		f.s.counts.refused.Add(1)
		answer := refusal(&a.Refusal)
		f.answer(d, &answer)
		return
	}
	if bad, is := fault(d, r, device, &a.Refusal); is {
		f.fail(d, hash, device, &bad)
		return
	}
	e := f.exchange(d, hash)
	if r.code() == codes.GET {
		f.ask(ctx, d, &e, device)
		return
	}
	f.submit(d, &e, host, device)
}

// turnedAway tells whether the peer is to be answered from its header alone and
// nothing kept of it; other refusals are of admitted requests.
func turnedAway(r *transports.Refusal) bool {
	switch r.Kind {
	case transports.QuotaExceeded, transports.CostTooHigh, transports.HostDenied:
		return true
	}
	return false
}

// tooLong tells whether the datagram is longer than what is taken, and so cut.
func (d *datagram) tooLong() bool { return len(d.packet()) > maxDatagram }

// fail answers an admitted request with an error, and has a retransmission get
// the same. A NON with a critical option that is not understood is rejected by
// silence (RFC 7252 5.4.1).
func (f *front) fail(d *datagram, hash uint64, device *devices.Device, r *response) {
	f.s.counts.failed.Add(1)
	non := header(d.packet()).kind() == message.NonConfirmable
	f.s.seen.put(hash, repeat{
		state: answered, code: byte(r.code), maxAge: ageOf(r.maxAge), non: non, known: device != nil,
	}, f.now)
	if non && r.code == codes.BadOption {
		return
	}
	f.answer(d, r)
}

// answer sends a response to a request at once: in the ACK of a CON, to a NON
// as a NON (RFC 7252 5.2).
func (f *front) answer(d *datagram, r *response) {
	h := header(d.packet())
	to := envelope{kind: message.Acknowledgement, mid: h.mid(), asked: len(h)}
	if h.kind() == message.NonConfirmable {
		to.kind, to.mid = message.NonConfirmable, f.s.nextMID()
	}
	to.token = h[headerLen:min(headerLen+h.tokenLen(), len(h))]
	f.out.say(to, r, &d.remote, d.local)
}

// exchange is what is kept of an accepted request until it is answered.
func (f *front) exchange(d *datagram, hash uint64) exchange {
	r := &f.req
	e := exchange{
		remote: d.remote, local: d.local, hash: hash, asked: uint16(len(r.header)),
		kind: message.Acknowledgement, mid: r.mid(), block1: r.block1,
	}
	e.tokenLen = uint8(copy(e.token[:], r.token))
	if r.kind() == message.NonConfirmable {
		e.kind, e.mid = message.NonConfirmable, f.s.nextMID()
	}
	return e
}

// begin opens an exchange, and has retransmissions of its request be silent; at
// the pool's bound it answers 5.03 instead.
func (f *front) begin(d *datagram, e *exchange, device *devices.Device) (tag uint64, ok bool) {
	tag, ok = f.s.pool.begin(e, f.now)
	if !ok {
		f.busy(d, e.hash, device)
		return 0, false
	}
	f.tag = tag
	f.s.seen.put(e.hash, repeat{
		state: waiting, non: e.kind == message.NonConfirmable, known: true,
	}, f.now)
	return tag, true
}

// busyWait is the wait told, in seconds, where a bound is reached: within it the
// store has answered or refused all that is pending.
const busyWait = 10

func (f *front) busy(d *datagram, hash uint64, device *devices.Device) {
	f.s.counts.busy.Add(1)
	full := refusal(&transports.Refusal{Kind: transports.StoreAway, Wait: busyWait})
	f.fail(d, hash, device, &full)
}

// submit sends a message up; Complete answers it.
func (f *front) submit(d *datagram, e *exchange, host transports.Host, device *devices.Device) {
	tag, ok := f.begin(d, e, device)
	if !ok {
		return
	}
	f.message = transports.Message{
		Transport: transports.CoAP, Kind: f.req.messageKind(), Host: host, Device: device, Payload: f.req.payload,
		Unpromised: e.kind == message.NonConfirmable,
	}
	refused := f.s.cfg.Gate.Submit(&f.message, f.s, tag)
	if refused.Refused() {
		if _, ok := f.s.pool.end(tag); ok {
			f.s.pool.paid()
		}
		bad := refusal(&refused)
		f.fail(d, e.hash, device, &bad)
		return
	}
	if f.s.pool.over(tag) {
		f.completed = true
	}
}
