package mqtt

import "github.com/mochi-mqtt/server/v2/packets"

// frame is one control packet as it was sent. Its slices are valid until the
// inbox is filled again.
type frame struct {
	head byte   // type and flags
	body []byte // without the fixed header
	all  []byte
}

// kind is the control packet type (MQTT 5 2.1.2).
func (f frame) kind() byte { return f.head >> 4 }

// size is what a fixed header says: its own length and the whole packet's.
type size struct{ header, total int }

// sizing is how far a fixed header could be read.
type sizing uint8

const (
	sized  sizing = iota
	cut           // more bytes are needed
	broken        // a remaining length of more than four bytes (MQTT 5 1.5.5)
)

// sizeOf reads a fixed header.
func sizeOf(b []byte) (size, sizing) {
	n := 0
	for i := 1; i <= 4; i++ {
		if i >= len(b) {
			return size{}, cut
		}
		n |= int(b[i]&0x7F) << (7 * (i - 1))
		if b[i] < 0x80 {
			return size{i + 1, i + 1 + n}, sized
		}
	}
	return size{}, broken
}

// firstInbox is what an inbox starts with, in bytes; it grows only as bytes
// arrive, and shrinks again.
const firstInbox = 2 << 10

// inbox is what was read and not yet taken: b[r:w].
type inbox struct {
	b    []byte
	r, w int
}

func (in *inbox) unread() []byte { return in.b[in.r:in.w] }

// take is the next total bytes as a frame.
func (in *inbox) take(s size) frame {
	all := in.b[in.r : in.r+s.total]
	in.r += s.total
	return frame{head: all[0], body: all[s.header:], all: all}
}

// space is where to read into, never empty; it makes room for a packet of total
// bytes by at most doubling what is there.
func (in *inbox) space(total int) []byte {
	n := in.w - in.r
	switch {
	case n == 0 && len(in.b) > firstInbox && total <= firstInbox, in.b == nil:
		in.b = make([]byte, firstInbox)
	case n == len(in.b):
		b := make([]byte, min(max(total, n+1), 2*n))
		copy(b, in.unread())
		in.b, in.r, in.w = b, 0, n
		return b[n:]
	case in.r > 0:
		copy(in.b, in.unread())
	}
	in.r, in.w = 0, n
	return in.b[n:]
}

// wellFormed tells whether mochi can decode the packet: it must not be handed
// one it answers with silence, nor the SUBSCRIBE without options byte that ends
// the process (mochi issue 501).
func wellFormed(f frame, version byte) bool {
	pk := packets.Packet{ProtocolVersion: version}
	if pk.FixedHeader.Decode(f.head) != nil {
		return false
	}
	pk.FixedHeader.Remaining = len(f.body)
	switch f.kind() {
	case packets.Subscribe:
		return optionsWhole(f.body, version) && pk.SubscribeDecode(f.body) == nil
	case packets.Unsubscribe:
		return pk.UnsubscribeDecode(f.body) == nil
	case packets.Disconnect:
		return pk.DisconnectDecode(f.body) == nil
	case packets.Pingreq:
		return len(f.body) == 0
	}
	return true
}

// optionsWhole tells whether every filter of a SUBSCRIBE is followed by its
// options byte, and that byte is one the protocol knows (MQTT 5 3.8.3.1).
func optionsWhole(body []byte, version byte) bool {
	at := 2
	if version == 5 {
		props, st := sizeOf(tail(body, at-1))
		if st != sized {
			return false
		}
		at += props.total - 1
	}
	for at < len(body) {
		if at+2 > len(body) {
			return false
		}
		at += 2 + int(body[at])<<8 + int(body[at+1])
		if at >= len(body) || !optionKnown(body[at], version) {
			return false
		}
		at++
	}
	return at == len(body)
}

// crowded tells whether a SUBSCRIBE or UNSUBSCRIBE has more than maxFilters
// filters, as far as its lengths make sense, without decoding it.
func crowded(f frame, version byte) bool {
	after := 0 // bytes that follow a filter
	switch f.kind() {
	case packets.Subscribe:
		after = 1
	case packets.Unsubscribe:
	default:
		return false
	}
	rest := tail(f.body, 2)
	if version == 5 {
		props, st := sizeOf(tail(f.body, 1)) // as if the byte before were a head
		if st != sized {
			return false
		}
		rest = tail(rest, props.total-1)
	}
	for n := 0; len(rest) >= 2; n++ {
		if n == maxFilters {
			return true
		}
		rest = tail(rest, 2+(int(rest[0])<<8|int(rest[1]))+after)
	}
	return false
}

// tail is b from i on, empty where b ends earlier.
func tail(b []byte, i int) []byte {
	if i > len(b) {
		return nil
	}
	return b[i:]
}

func optionKnown(o, version byte) bool {
	if version != 5 {
		return o <= 2
	}
	return o&0xC0 == 0 && o&3 != 3 && o>>4&3 != 3
}
