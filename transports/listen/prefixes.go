package listen

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// Prefixes is a set of networks, as ParsePrefixes makes it. nil is the empty
// set. It is walked from end to end: meant for the few proxies of a site.
type Prefixes []netip.Prefix

// Contains tells whether addr, a v4-in-v6 one as the IPv4 address, is in one of
// the networks. A zone is ignored.
func (p Prefixes) Contains(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	for _, n := range p {
		if n.Contains(addr) {
			return true
		}
	}
	return false
}

// ParsePrefixes reads addresses and CIDR prefixes ("10.0.0.0/8", "192.0.2.1",
// "2001:db8::/32"), trimmed; v4-in-v6 becomes IPv4. Empty texts are skipped. The
// error names every text that is neither.
func ParsePrefixes(texts []string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	var faults []error
	for _, text := range texts {
		text = strings.TrimSpace(text)
		if text == "" {
			continue
		}
		p, ok := parsePrefix(text)
		if !ok {
			faults = append(faults, fmt.Errorf("%q is no network; expected an address or a CIDR prefix such as 10.0.0.0/8", text))
			continue
		}
		all = append(all, p)
	}
	return all, errors.Join(faults...)
}

// v4in6Bits is how much of a v4-in-v6 address is not the IPv4 address.
const v4in6Bits = 96

func parsePrefix(text string) (netip.Prefix, bool) {
	if !strings.Contains(text, "/") {
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Zone() != "" {
			return netip.Prefix{}, false
		}
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), true
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, false
	}
	if p.Addr().Is4In6() {
		if p.Bits() < v4in6Bits {
			return netip.Prefix{}, false
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-v4in6Bits)
	}
	return p.Masked(), true
}
