package coap

import (
	"unicode/utf8"
	"unsafe"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// headerLen is the length of a CoAP header without the token (RFC 7252 3).
const headerLen = 4

// header is the fixed part of a message. Its bytes are read in place.
type header []byte

func (h header) kind() message.Type { return message.Type(h[0] >> 4 & 3) }
func (h header) tokenLen() int      { return int(h[0] & 15) }
func (h header) code() codes.Code   { return codes.Code(h[1]) }
func (h header) mid() uint16        { return uint16(h[2])<<8 | uint16(h[3]) }

// resource is what a path names.
type resource uint8

const (
	nothing resource = iota
	telemetry
	attributes
)

// block is a Block1 or Block2 option (RFC 7959 2.2).
type block struct {
	set  bool
	more bool
	szx  uint8 // the size is 2^(szx+4) bytes; 7 is reserved
	num  uint32
}

// size is the block's size in bytes.
func (b block) size() int { return 1 << (b.szx + 4) }

func blockOf(value []byte) block {
	v := number(value)
	return block{set: true, more: v&8 != 0, szx: uint8(v & 7), num: v >> 4}
}

// value is the option's value.
func (b block) value() uint32 {
	v := b.num<<4 | uint32(b.szx)
	if b.more {
		v |= 8
	}
	return v
}

// number is an unsigned option value (RFC 7252 3.2) of up to 4 bytes.
func number(value []byte) uint32 {
	n := uint32(0)
	for _, b := range value {
		n = n<<8 | uint32(b)
	}
	return n
}

// request is what a datagram asks for. It points into the datagram.
type request struct {
	header
	token    []byte // CoAP's, by which the peer knows the answer
	access   []byte // the device's, from the path; empty: it carries none
	resource resource
	accept   int // the Content-Format that the answer must have; -1: any
	block1   block
	block2   block
	queries  [maxQueries][]byte
	payload  []byte
	// badOption is a critical option that is not understood; 0: none.
	badOption message.OptionID
	proxied   bool // Proxy-Uri or Proxy-Scheme is there
	path      [maxPath][]byte
	segments  int // of the path, of which the first maxPath are kept
	nqueries  int // of which the first maxQueries are kept
}

// Bounds of what a request may carry; what is over is no resource or query here.
const (
	maxOptions = 64
	maxPath    = 4
	maxQueries = 4
)

// parser reads requests. It is not safe for concurrent use.
type parser struct {
	options message.Options // reused
	seen    uint64          // options below 64 that stood already
}

func newParser() *parser { return &parser{options: make(message.Options, 0, maxOptions)} }

// parse reads a request whose header is whole; false tells of a message format
// error (RFC 7252 3), or of more than maxOptions options.
func (p *parser) parse(packet []byte, r *request) bool {
	*r = request{header: packet, accept: -1}
	end := headerLen + r.tokenLen()
	if r.tokenLen() > message.MaxTokenSize || end > len(packet) {
		return false
	}
	r.token = packet[headerLen:end]
	rest := packet[end:]
	// No definitions: with them, the library drops options of a wrong length,
	// the critical ones too.
	p.options = p.options[:0]
	n, err := p.options.Unmarshal(rest, nil)
	if err != nil || p.markerWithout(rest, n) {
		return false
	}
	r.payload = rest[n:]
	p.interpret(r)
	return true
}

// markerWithout tells whether the options end in a payload marker that no
// payload follows: a format error, which the library lets pass. A last byte of
// 0xff may be the end of an option as well: its value then ends where rest does.
func (p *parser) markerWithout(rest []byte, n int) bool {
	if n == 0 || n < len(rest) || rest[n-1] != 0xff {
		return false
	}
	if len(p.options) == 0 {
		return true
	}
	last := p.options[len(p.options)-1].Value
	return cap(last)-len(last) != cap(rest)-len(rest)
}

// interpret goes through the options once.
func (p *parser) interpret(r *request) {
	p.seen = 0
	for i := range p.options {
		o := &p.options[i]
		if o.ID&1 == 0 {
			continue // elective: none changes what is done here
		}
		if !wellFormed(o) || p.again(o.ID) {
			r.refuse(o.ID)
			continue
		}
		r.take(o)
	}
	r.locate()
}

// again tells whether a critical option that may stand once stood already.
func (p *parser) again(id message.OptionID) bool {
	if id == message.URIPath || id == message.URIQuery {
		return false
	}
	bit := uint64(1) << (id & 63)
	twice := p.seen&bit != 0
	p.seen |= bit
	return twice
}

// refuse notes a critical option that is not understood; the first is told.
func (r *request) refuse(id message.OptionID) {
	if r.badOption == 0 {
		r.badOption = id
	}
}

// wellFormed tells whether a critical option is one that is understood, within
// the length that RFC 7252 table 4 and RFC 7959 table 1 give it. Strings are
// UTF-8. If-Match and If-None-Match are not understood: nothing here has ETags
// to match before a write.
func wellFormed(o *message.Option) bool {
	n := len(o.Value)
	switch o.ID {
	case message.URIHost, message.ProxyScheme:
		return n >= 1 && n <= 255
	case message.URIPath, message.URIQuery:
		return n <= 255 && utf8.Valid(o.Value)
	case message.URIPort, message.Accept:
		return n <= 2
	case message.Block1, message.Block2:
		return n <= 3
	case message.ProxyURI:
		return n >= 1 && n <= 1034
	}
	return false
}

// take keeps what a well-formed critical option says.
func (r *request) take(o *message.Option) {
	switch o.ID {
	case message.URIPath:
		if r.segments < maxPath {
			r.path[r.segments] = o.Value
		}
		r.segments++
	case message.URIQuery:
		if r.nqueries < maxQueries {
			r.queries[r.nqueries] = o.Value
		}
		r.nqueries++
	case message.Accept:
		r.accept = int(number(o.Value))
	case message.Block1:
		r.block1 = blockOf(o.Value)
	case message.Block2:
		r.block2 = blockOf(o.Value)
	case message.ProxyURI, message.ProxyScheme:
		r.proxied = true
	}
}

// locate finds the resource and the access token: /api/v1/{token}/telemetry,
// or without the token where the connection tells who the device is.
func (r *request) locate() {
	if r.segments < 3 || string(r.path[0]) != "api" || string(r.path[1]) != "v1" {
		return
	}
	leaf := r.path[2]
	if r.segments > 3 {
		r.access, leaf = r.path[2], r.path[3]
	}
	if r.segments > maxPath {
		return
	}
	switch string(leaf) {
	case "telemetry":
		r.resource = telemetry
	case "attributes":
		r.resource = attributes
	}
}

// accessToken is the device's token as a string over the datagram's own bytes,
// which the next read overwrites: nobody may keep it.
func (r *request) accessToken() string {
	return unsafe.String(unsafe.SliceData(r.access), len(r.access))
}
