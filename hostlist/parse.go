package hostlist

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
)

// ParseError says why a text is no Entry.
type ParseError struct {
	Entry   string // the text, trimmed; what is over 80 bytes is cut
	Problem string // what is wrong and what was expected
}

func (e *ParseError) Error() string { return strconv.Quote(e.Entry) + " " + e.Problem }

const (
	// maxText is the longest entry: a host name of 253 octets (RFC 1035 2.3.4)
	// and its last dot.
	maxText = 254
	// maxLabel is the longest label of a host name (RFC 1035 2.3.4).
	maxLabel = 63
	// maxQuoted is how much of a bad entry an error shows.
	maxQuoted = 80

	forms = "an address, a prefix such as 10.0.0.0/8, a range such as 10.0.0.1-10.0.0.9 or a host name"
)

// ParseEntry reads an address, a CIDR prefix, a range or a host name, with
// white space around it. IPv4 in IPv6 and NAT64 become the IPv4 hosts they
// stand for, as in Canonical; an IPv6 prefix of less than 96 bits covers no
// IPv4 host. A host name is one of RFC 1123, letters' case does not matter,
// underscores may be in it; a last dot is dropped. The error is a *ParseError.
func ParseEntry(s string) (Entry, error) {
	text := strings.TrimSpace(s)
	e, problem := parse(text)
	if problem == "" {
		return e, nil
	}
	if len(text) > maxQuoted {
		text = text[:maxQuoted] + "…"
	}
	return Entry{}, &ParseError{Entry: text, Problem: problem}
}

// ParseEntries reads entries with commas between them; what is empty between
// two commas is left out. The error joins the *ParseError of each bad entry,
// and the good ones are returned besides.
func ParseEntries(s string) ([]Entry, error) {
	var entries []Entry
	var errs []error
	for text := range strings.SplitSeq(s, ",") {
		if strings.TrimSpace(text) == "" {
			continue
		}
		e, err := ParseEntry(text)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		entries = append(entries, e)
	}
	return entries, errors.Join(errs...)
}

// parse reads trimmed text; problem is "" if that succeeds.
func parse(text string) (e Entry, problem string) {
	switch {
	case text == "":
		return e, "is empty: expected " + forms
	case len(text) > maxText:
		return e, "is too long: expected " + forms
	case strings.Contains(text, "%"):
		return e, "has a zone: expected the address alone, hosts are listed without the interface they are seen on"
	case strings.Contains(text, "/"):
		return parsePrefix(text)
	}
	if addr, err := netip.ParseAddr(text); err == nil {
		return Entry{kind: Address, from: Canonical(addr)}, ""
	}
	if from, to, ok := cutRange(text); ok {
		return parseRange(from, to)
	}
	if strings.Contains(text, ":") {
		return e, "is no IPv6 address: expected one such as 2001:db8::1, without a port"
	}
	return parseName(text)
}

func parsePrefix(text string) (e Entry, problem string) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return e, "is no prefix: expected an address, a slash and how many leading bits count, such as 10.0.0.0/8 or 2001:db8::/32"
	}
	p = foldPrefix(p)
	if m := p.Masked(); m != p {
		return e, "has bits set beyond its length: write " + m.String() + ", or " + p.Addr().String() + " for that host alone"
	}
	if p.IsSingleIP() {
		return Entry{kind: Address, from: p.Addr()}, ""
	}
	return Entry{kind: Prefix, from: p.Addr(), bits: uint8(p.Bits())}, ""
}

// folded is how many leading bits of an IPv6 address say that an IPv4 address
// follows (RFC 4291 2.5.5.2, RFC 6052 2.2).
const folded = 96

func foldPrefix(p netip.Prefix) netip.Prefix {
	addr := Canonical(p.Addr())
	if addr.Is4() && !p.Addr().Is4() && p.Bits() >= folded {
		return netip.PrefixFrom(addr, p.Bits()-folded)
	}
	return p
}

// cutRange cuts a range in two. A host name may hold a hyphen too: only what
// begins with an address and cannot be a name is a range.
func cutRange(text string) (from, to string, ok bool) {
	from, to, ok = strings.Cut(text, "-")
	if !ok {
		return "", "", false
	}
	from, to = strings.TrimSpace(from), strings.TrimSpace(to)
	if _, err := netip.ParseAddr(from); err != nil {
		return "", "", false
	}
	_, problem := parseName(text)
	return from, to, problem != ""
}

func parseRange(first, second string) (e Entry, problem string) {
	from, err := netip.ParseAddr(first)
	to, err2 := netip.ParseAddr(second)
	if err != nil || err2 != nil {
		return e, "is no range: expected two whole addresses, such as 10.0.0.1-10.0.0.9"
	}
	from, to = Canonical(from), Canonical(to)
	switch {
	case from.BitLen() != to.BitLen():
		return e, "mixes IPv4 and IPv6: expected two addresses of one kind"
	case to.Less(from):
		return e, "runs backwards: write " + to.String() + "-" + from.String()
	case from == to:
		return Entry{kind: Address, from: from}, ""
	}
	return Entry{kind: Range, from: from, to: to}, ""
}

func parseName(text string) (e Entry, problem string) {
	name := strings.ToLower(strings.TrimSuffix(text, "."))
	if len(name) >= maxText {
		return e, "is too long: a host name has at most 253 characters"
	}
	label := ""
	for label = range strings.SplitSeq(name, ".") {
		if problem := badLabel(label); problem != "" {
			return e, problem
		}
	}
	if isNumber(label) {
		return e, "ends in a number, so it is no host name, and it is no valid address: expected " + forms
	}
	// The clone lets go of the list that the text may be a part of.
	return Entry{kind: Name, name: strings.Clone(name)}, ""
}

// badLabel says what keeps a text from being a label of RFC 1123 2.1.
func badLabel(label string) string {
	switch {
	case label == "":
		return "has an empty label: expected " + forms
	case len(label) > maxLabel:
		return "has a label of more than 63 characters: expected " + forms
	case label[0] == '-' || label[len(label)-1] == '-':
		return "has a label with a hyphen at its end: expected " + forms
	}
	for i := range len(label) {
		switch {
		case label[i] >= 0x80:
			return "has a letter beyond ASCII: write an international name in its xn-- form"
		case !isNameByte(label[i]):
			return "has the character " + strconv.QuoteRune(rune(label[i])) + ": expected " + forms
		}
	}
	return ""
}

func isNameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

// isNumber tells whether a last label makes the whole an address, mistyped: old
// resolvers take digits for one, and 0x with hexadecimal digits; digits with a
// hyphen are a range's end cut short. No top-level domain is either.
func isNumber(label string) bool {
	digits := "0123456789-"
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		label, digits = hex, "0123456789abcdef"
	}
	return strings.Trim(label, digits) == ""
}
