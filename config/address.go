package config

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const expectedAddress = "host:port, such as 127.0.0.1:8080 or [::1]:8080, with a port from 0 to 65535"

// address is a host:port to listen on.
func address(dst *string) *scalar {
	return &scalar{
		expected: expectedAddress,
		parse: func(s string) string {
			s = strings.TrimSpace(s)
			if wrong := badAddress(s); wrong != "" {
				return wrong
			}
			*dst = s
			return ""
		},
		format: func() string { return quote(*dst) },
	}
}

// listener is an address that may be switched off: "" in the Config.
func listener(dst *string) *scalar {
	s := address(dst)
	s.expected = expectedAddress + ", or off"
	on := s.parse
	s.parse = func(text string) string {
		if t := strings.TrimSpace(text); t == "" || strings.EqualFold(t, "off") {
			*dst = ""
			return ""
		}
		return on(text)
	}
	s.format = func() string {
		if *dst == "" {
			return "off"
		}
		return quote(*dst)
	}
	return s
}

// badAddress says what is wrong with a host:port, "" if nothing is.
func badAddress(s string) string {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return "is not host:port"
	}
	if wrong := badPort(port); wrong != "" {
		return wrong
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" && !isName(host) {
		return "has a host that is neither an IP address nor a name"
	}
	return ""
}

func badPort(port string) string {
	n, err := strconv.Atoi(port)
	switch {
	case !digits(port) || port[0] == '+':
		return "has no number for a port"
	case err != nil || n < 0 || n > 65535:
		return "has a port out of range"
	}
	return ""
}

// isName tells whether s has the letters and lengths of a host name
// (RFC 1123 2.1, and the underscore that containers' names have). Four numbers
// with dots are an address gone wrong, not a name.
func isName(s string) bool {
	if len(s) > 253 || strings.Trim(s, "0123456789.") == "" {
		return false
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(s, "."), ".") {
		if label == "" || len(label) > 63 || strings.ContainsFunc(label, notInName) {
			return false
		}
	}
	return true
}

func notInName(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
}

// loopback tells whether nobody but this machine can reach a checked listen
// address. A name other than localhost may resolve to anything.
func loopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// ErrPrefix says that a text is neither an address nor a CIDR prefix.
var ErrPrefix = errors.New("expected an IP address or a CIDR prefix, such as 10.0.0.0/8")

// Prefix is the prefix that an entry of trustedProxies means: an address alone
// is the prefix of its whole length, IPv4 in IPv6 (RFC 4291 2.5.5.2) is IPv4,
// and bits beyond the prefix are cleared. ErrPrefix for any other text.
func Prefix(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, ErrPrefix
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}

// natsURL is one server or several; what stands before an @ is a secret.
func natsURL(dst *string) *scalar {
	return &scalar{
		expected: "nats://host:port (or tls, ws, wss), several separated by commas, or nothing",
		secret:   true,
		parse: func(s string) string {
			s = strings.TrimSpace(s)
			if s == "" {
				*dst = ""
				return ""
			}
			for server := range strings.SplitSeq(s, ",") {
				if wrong := badServer(strings.TrimSpace(server)); wrong != "" {
					return wrong
				}
			}
			*dst = s
			return ""
		},
		format: func() string { return quote(*dst) },
		hide:   func() string { return quote(maskURL(*dst)) },
	}
}

// badServer says what is wrong with one NATS server's URL, "" if nothing is. A
// path is refused, since a password with a slash would look like one and be
// shown.
func badServer(s string) string {
	if !strings.Contains(s, "://") {
		s = "nats://" + s
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return "is not a URL (a password's special characters are written as %XX)"
	case !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme):
		return "has a scheme that is not NATS's"
	case u.Hostname() == "":
		return "names no host"
	case strings.Trim(u.Path, "/")+u.RawQuery+u.Fragment != "":
		return "has more than a host and a port"
	case u.Port() == "":
		return ""
	}
	return badPort(u.Port())
}

// maskURL hides what stands before an @ in each server of a checked URL.
func maskURL(s string) string {
	servers := strings.Split(s, ",")
	for i, server := range servers {
		scheme, rest, found := strings.Cut(server, "://")
		if !found {
			scheme, rest = "", server
		}
		at := strings.LastIndexByte(rest, '@')
		if at < 0 {
			continue
		}
		if found {
			scheme += "://"
		}
		servers[i] = scheme + mask + rest[at:]
	}
	return strings.Join(servers, ",")
}
