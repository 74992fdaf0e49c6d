package coap

import "net/netip"

// address is an IP address without a pointer, IPv4 in IPv6 (RFC 4291 2.5.5.2).
// The zero address is none.
type address [16]byte

// v4 is the address of four octets.
func v4(b [4]byte) address {
	return address{10: 0xff, 11: 0xff, 12: b[0], 13: b[1], 14: b[2], 15: b[3]}
}

func (a address) is4() bool { return [12]byte(a[:12]) == [12]byte{10: 0xff, 11: 0xff} }

func (a address) as4() [4]byte { return [4]byte(a[12:]) }

// multicast tells whether a is a group's address.
func (a address) multicast() bool {
	if a.is4() {
		return a[12]>>4 == 0xe
	}
	return a[0] == 0xff
}

// endpoint is a peer: address, scope and port. It is comparable and free of
// pointers, so that thousands may be kept without the collector's notice.
type endpoint struct {
	ip   address
	zone uint32 // the interface of a link-local address, else 0
	port uint16
}

// addr is the peer's address for the Gate, which drops scopes.
func (e *endpoint) addr() netip.Addr { return netip.AddrFrom16(e.ip).Unmap() }

// key appends e's bytes to b.
func (e *endpoint) key(b []byte) []byte {
	b = append(b, e.ip[:]...)
	return append(b, byte(e.zone>>24), byte(e.zone>>16), byte(e.zone>>8), byte(e.zone), byte(e.port>>8), byte(e.port))
}

// endpointLen is the number of bytes of an endpoint's key.
const endpointLen = 16 + 4 + 2

// datagram is one that came. Its bytes are the reader's, until the next read.
type datagram struct {
	remote endpoint
	// local is the address it was sent to, from which the answer must leave;
	// none where the socket has but one.
	local address
	// frame is endpointLen bytes of room, and the datagram: so that one hash
	// goes over both.
	frame []byte
}

// packet is the datagram's bytes.
func (d *datagram) packet() []byte { return d.frame[endpointLen:] }

// Sizes of what is read and written.
const (
	// readBatch is how many datagrams one system call may read: what comes
	// within some 100 µs at 300,000 a second.
	readBatch = 32
	// maxDatagram is the longest datagram taken, in bytes: the 1152 of RFC 7252
	// 4.6, and what an Ethernet frame holds besides.
	maxDatagram = 2048
	// frameLen holds one byte more, by which a longer one is known.
	frameLen = endpointLen + maxDatagram + 1
	// writeBatch is how many datagrams one system call may write.
	writeBatch = 64
	// maxShort is the longest datagram that is gathered with others, in bytes:
	// every answer but one with content.
	maxShort = 256
)
