package listen

import (
	"errors"
	"net/netip"
	"strings"
)

// ForwardedMode is the one header by which trusted proxies name their client.
type ForwardedMode uint8

// The modes.
const (
	ForwardedNone ForwardedMode = iota // none: headers are ignored
	ForwardedXFF                       // X-Forwarded-For
	ForwardedRFC                       // Forwarded (RFC 7239)
)

var modeNames = [...]string{ForwardedNone: "none", ForwardedXFF: "xff", ForwardedRFC: "forwarded"}

func (m ForwardedMode) String() string {
	if int(m) < len(modeNames) {
		return modeNames[m]
	}
	return "unknown"
}

// ErrForwardedMode says that a text names no ForwardedMode.
var ErrForwardedMode = errors.New("expected none, xff or forwarded")

// ParseForwardedMode reads a mode's name; ErrForwardedMode for any other text.
func ParseForwardedMode(s string) (ForwardedMode, error) {
	for i, n := range modeNames {
		if n == s {
			return ForwardedMode(i), nil
		}
	}
	return 0, ErrForwardedMode
}

// Header is the canonical name of the mode's header field, "" for none.
func (m ForwardedMode) Header() string {
	switch m {
	case ForwardedXFF:
		return "X-Forwarded-For"
	case ForwardedRFC:
		return "Forwarded"
	}
	return ""
}

// Forwarded is the client of a request that came from peer: peer itself if it
// is no trusted proxy, whatever the header claims; else the rightmost hop in
// the header's values that is no trusted proxy. ok is false where that is
// unknown: no header, an obfuscated or broken hop before any client (RFC 7239
// 6.3), or proxies only. A proxy's own address is never the client. values are
// the fields of mode.Header(), in the order received. It allocates only for
// quoted pairs.
func Forwarded(mode ForwardedMode, values []string, peer netip.Addr, trusted Prefixes) (addr netip.Addr, ok bool) {
	peer = peer.Unmap()
	if !trusted.Contains(peer) {
		return peer, peer.IsValid()
	}
	if mode == ForwardedNone {
		return netip.Addr{}, false
	}
	// From the right: what a proxy appended is read before, and cannot be
	// hidden by, anything that a client wrote.
	for i := len(values) - 1; i >= 0; i-- {
		rest, more := values[i], true
		for more {
			var hop string
			if rest, hop, more = cutLast(rest, mode == ForwardedRFC); hop == "" {
				continue // an empty list element (RFC 9110 5.6.1)
			}
			if addr, ok = hopAddr(mode, hop); !ok {
				return netip.Addr{}, false
			}
			if !trusted.Contains(addr) {
				return addr, true
			}
		}
	}
	return netip.Addr{}, false
}

// cutLast cuts the last element off a comma-separated list; more tells that
// elements are left in rest. Commas inside quotes do not count if quoted.
func cutLast(list string, quoted bool) (rest, last string, more bool) {
	inside := false
	for i := len(list) - 1; i >= 0; i-- {
		switch {
		case quoted && list[i] == '"' && !escaped(list, i):
			inside = !inside
		case list[i] == ',' && !inside:
			return list[:i], trim(list[i+1:]), true
		}
	}
	return "", trim(list), false
}

// escaped tells whether the byte at i follows an odd number of backslashes.
func escaped(s string, i int) bool {
	odd := false
	for i--; i >= 0 && s[i] == '\\'; i-- {
		odd = !odd
	}
	return odd
}

func trim(s string) string { return strings.Trim(s, " \t") }

func hopAddr(mode ForwardedMode, hop string) (netip.Addr, bool) {
	if mode == ForwardedXFF {
		return nodeAddr(hop)
	}
	node, ok := forParam(hop)
	if !ok {
		return netip.Addr{}, false
	}
	return nodeAddr(node)
}

// forParam is the one for parameter of a forwarded-element (RFC 7239 4).
func forParam(element string) (node string, ok bool) {
	for more := true; more; {
		var pair string
		pair, element, more = cutPair(element)
		name, value, is := strings.Cut(pair, "=")
		if !is || !strings.EqualFold(trim(name), "for") {
			continue
		}
		if ok {
			return "", false // said twice: neither is to be believed
		}
		if node, ok = unquote(trim(value)); !ok {
			return "", false
		}
	}
	return node, ok
}

// cutPair cuts the first pair off, at a semicolon outside quotes.
func cutPair(s string) (pair, rest string, more bool) {
	inside := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"' && !escaped(s, i):
			inside = !inside
		case s[i] == ';' && !inside:
			return trim(s[:i]), s[i+1:], true
		}
	}
	return trim(s), "", false
}

// unquote is a token as it is, or what a quoted-string holds (RFC 9110 5.6.4).
func unquote(s string) (string, bool) {
	if !strings.HasPrefix(s, `"`) {
		return s, !strings.Contains(s, `"`)
	}
	if len(s) < 2 || s[len(s)-1] != '"' || escaped(s, len(s)-1) {
		return "", false
	}
	s = s[1 : len(s)-1]
	if !strings.Contains(s, `\`) {
		return s, !strings.Contains(s, `"`)
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String(), true
}

// nodeAddr is the address of a node (RFC 7239 6), which X-Forwarded-For writes
// alike: IPv4 or bracketed IPv6, either with a port, or a bare IPv6. Anything
// else, "unknown" and "_hidden" included, is no address.
func nodeAddr(node string) (netip.Addr, bool) {
	host := node
	if inner, ok := strings.CutPrefix(node, "["); ok {
		var port string
		if host, port, ok = strings.Cut(inner, "]"); !ok || (port != "" && port[0] != ':') {
			return netip.Addr{}, false
		}
	} else if strings.Count(node, ":") == 1 {
		host, _, _ = strings.Cut(node, ":")
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}, false
	}
	return addr.Unmap().WithZone(""), true
}
