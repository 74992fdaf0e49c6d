package coap

import (
	"context"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/weirgate/weir/transports"
)

// repeated serves a retransmission of a CON (RFC 7252 4.5), which is charged to
// nobody: not at all while the store has it, with the empty ACK if that was the
// answer, else with the same code and Max-Age; content is asked for again. A NON
// is never answered twice.
func (f *front) repeated(ctx context.Context, d *datagram, hash uint64, r repeat) {
	if host := f.host(d); r.worn() || f.s.cfg.Gate.Denied(host) {
		f.unwelcome(d, host)
		return
	}
	f.s.counts.repeats.Add(1)
	switch {
	case r.non || r.state == waiting:
	case r.state == acked:
		to := envelope{kind: message.Acknowledgement, mid: header(d.packet()).mid()}
		f.out.sayEmpty(to, &d.remote, d.local)
	case codes.Code(r.code) == codes.Content:
		f.askAgain(ctx, d, hash)
	default:
		answer := again(r)
		f.answer(d, &answer)
	}
}

// unwelcome takes a repeat that is not served. A denied host's is refused like a
// new request. Of any other host it is one of too many: garbage, which gets
// silence and is charged like a request that carries no token, so that whoever
// forges it cannot spend its host's budget.
func (f *front) unwelcome(d *datagram, host transports.Host) {
	_, a := f.s.cfg.Gate.AdmitDatagram(transports.CoAP, host, "")
	if !a.Refusal.Refused() {
		f.s.counts.ignored.Add(1)
		return
	}
	f.s.counts.refused.Add(1)
	if a.Refusal.Kind == transports.HostDenied {
		answer := refusal(&a.Refusal)
		f.answer(d, &answer)
	}
}

// askAgain puts once more a question that was answered by content: that may be
// long and is not kept, and a GET is idempotent (RFC 7252 4.5).
func (f *front) askAgain(ctx context.Context, d *datagram, hash uint64) {
	r := &f.req
	if !f.parser.parse(d.packet(), r) {
		return
	}
	device, identity := f.s.cfg.Gate.Identify(r.accessToken())
	if bad, is := fault(d, r, device, &identity); is {
		f.fail(d, hash, device, &bad) // its token has been withdrawn since
		return
	}
	e := f.exchange(d, hash)
	f.ask(ctx, d, &e, device)
}
