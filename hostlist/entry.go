package hostlist

import (
	"net/netip"
	"time"
)

// Kind is what an Entry was written as. The zero Kind is no kind at all.
type Kind uint8

// The kinds.
const (
	Address Kind = iota + 1 // one host
	Prefix                  // all hosts that share their leading bits
	Range                   // all hosts from one address to another, both included
	Name                    // the hosts that a name resolves to
)

var kindNames = [...]string{"none", Address: "address", Prefix: "prefix", Range: "range", Name: "name"}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown"
}

// List is one of the two lists.
type List uint8

// The lists.
const (
	Allow List = iota // the white list
	Deny              // the black list
)

func (l List) String() string {
	if l == Allow {
		return "allow"
	}
	return "deny"
}

// MaxReason is the longest Entry.Reason that is kept, in bytes.
const MaxReason = 256

// maxNameAddrs is how many addresses of one name are taken. A name of more is
// a content network's or a mistake, and a resolver's answer is a stranger's.
const maxNameAddrs = 64

// Entry is one line of a list. ParseEntry makes it; the zero Entry covers no
// host, and Set ignores it. An Entry is a value: copy it freely.
type Entry struct {
	// Expires is when the entry stops to count; zero means never.
	Expires time.Time
	// Reason is why the entry was made, for people; may be empty. What is over
	// MaxReason bytes is cut when the entry is listed.
	Reason string

	name string     // of a Name: lower case, no dot at the end
	from netip.Addr // canonical; of a Prefix its address, masked
	to   netip.Addr // of a Range: not below from, same family
	bits uint8      // of a Prefix: its length
	kind Kind
}

// Kind is what the entry stands for. A prefix of full length and a range of one
// address are an Address.
func (e Entry) Kind() Kind { return e.kind }

// String is the entry as ParseEntry reads it, in its one canonical form; ""
// for the zero Entry.
func (e Entry) String() string {
	switch e.kind {
	case Address:
		return e.from.String()
	case Prefix:
		return netip.PrefixFrom(e.from, int(e.bits)).String()
	case Range:
		return e.from.String() + "-" + e.to.String()
	}
	return e.name
}

// same tells whether e and o stand for the same hosts by the same words,
// whatever their expiry and reason.
func (e *Entry) same(o *Entry) bool {
	return e.kind == o.kind && e.from == o.from && e.to == o.to && e.bits == o.bits && e.name == o.name
}

// weight is how many places of the table e may take.
func (e *Entry) weight() int {
	switch e.kind {
	case Name:
		return maxNameAddrs
	case Range:
		return len(e.appendPrefixes(nil))
	}
	return 1
}

// appendPrefixes appends the fewest prefixes that are together e's hosts: at
// most 62 of an IPv4 range and 254 of an IPv6 range, none of a name.
func (e *Entry) appendPrefixes(dst []netip.Prefix) []netip.Prefix {
	switch e.kind {
	case Address:
		return append(dst, full(e.from))
	case Prefix:
		return append(dst, netip.PrefixFrom(e.from, int(e.bits)))
	case Range:
		return appendRange(dst, e.from, e.to)
	}
	return dst
}

// full is the prefix that is a alone.
func full(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

func appendRange(dst []netip.Prefix, from, to netip.Addr) []netip.Prefix {
	for {
		p := widest(from, to)
		dst = append(dst, p)
		end := last(p)
		if end == to {
			return dst
		}
		from = end.Next()
	}
}

// widest is the shortest prefix that begins at from and does not pass to.
func widest(from, to netip.Addr) netip.Prefix {
	p := full(from)
	for p.Bits() > 0 {
		wider := netip.PrefixFrom(from, p.Bits()-1)
		if wider.Masked() != wider || to.Less(last(wider)) {
			break
		}
		p = wider
	}
	return p
}

// last is the highest address of p.
func last(p netip.Prefix) netip.Addr {
	if p.Addr().Is4() {
		b := p.Addr().As4()
		fill(b[:], p.Bits())
		return netip.AddrFrom4(b)
	}
	b := p.Addr().As16()
	fill(b[:], p.Bits())
	return netip.AddrFrom16(b)
}

// fill sets every bit of b from the given one on.
func fill(b []byte, from int) {
	for i := from / 8; i < len(b); i++ {
		b[i] |= 0xff >> max(from-8*i, 0)
	}
}
