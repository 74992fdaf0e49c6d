package coap

import (
	"strconv"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/weirgate/weir/devices"
	"github.com/weirgate/weir/transports"
)

// fault says what is wrong with an admitted request, in the order in which a
// client can mend it: its options, its target, who it is, its blocks. identity
// is the Gate's refusal of its token.
func fault(d *datagram, r *request, device *devices.Device, identity *transports.Refusal) (response, bool) {
	switch {
	case r.badOption != 0:
		return failure(codes.BadOption, "critical option "+strconv.Itoa(int(r.badOption))+" is not understood here"), true
	case r.proxied:
		return failure(codes.ProxyingNotSupported, "this is no proxy"), true
	case d.tooLong():
		return refused(transports.TooLarge, "a datagram may have "+strconv.Itoa(maxDatagram)+" bytes"), true
	}
	if bad, is := targetFault(r); is {
		return bad, true
	}
	switch {
	case identity.Refused():
		return refusal(identity), true
	case device == nil:
		return refused(transports.BadCredentials, "the path carries no access token"), true
	}
	return blockFault(r)
}

func targetFault(r *request) (response, bool) {
	switch {
	case r.resource == nothing:
		return refused(transports.UnknownPath, ""), true
	case r.code() == codes.POST, r.code() == codes.GET && r.resource == attributes:
		return response{}, false
	}
	return refused(transports.BadMethod, ""), true
}

// reservedSZX is the block size that a request must not have (RFC 7959 2.2).
const reservedSZX = 7

// blockFault says what is wrong with the blocks (RFC 7959) and the format asked
// for. An upload of one block is one like any other; of several none is taken.
func blockFault(r *request) (response, bool) {
	get := r.code() == codes.GET
	switch {
	case r.block1.set && r.block1.szx == reservedSZX, r.block2.set && r.block2.szx == reservedSZX:
		return failure(codes.BadRequest, "block size 7 is reserved"), true
	case r.block1.more || r.block1.num > 0:
		return refused(transports.TooLarge, "blockwise uploads are not taken: send one datagram"), true
	case get && r.accept >= 0 && r.accept != int(message.AppJSON):
		return failure(codes.NotAcceptable, "only application/json (50) is served"), true
	}
	return response{}, false
}

// refused is the answer of the table to a kind of refusal found here.
func refused(kind transports.RefusalKind, detail string) response {
	return refusal(&transports.Refusal{Kind: kind, Detail: detail})
}
