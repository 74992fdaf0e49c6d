package hostlist_test

import (
	"fmt"
	"net/netip"
	"strings"

	"pgregory.net/rapid"

	"github.com/weirgate/weir/hostlist"
)

// model says by a walk over all entries what the lists should say.
type model struct {
	set [2][]hostlist.Entry
	put map[string]hostlist.List // "deny 10.0.0.1"
}

func cut(k string) (list, text string, ok bool) { return strings.Cut(k, " ") }

func (m *model) verdict(addr netip.Addr) hostlist.Verdict {
	best := [2]int{-1, -1}
	softly := false
	see := func(list hostlist.List, text string) {
		bits, soft := covers(text, addr)
		if list == hostlist.Deny && soft {
			softly = softly || bits >= 0
			return
		}
		best[list] = max(best[list], bits)
	}
	for list, entries := range m.set {
		for _, e := range entries {
			see(hostlist.List(list), e.String())
		}
	}
	for k, list := range m.put {
		_, text, _ := cut(k)
		see(list, text)
	}
	allow, deny := best[hostlist.Allow], best[hostlist.Deny]
	switch {
	case allow >= 0 && allow >= deny:
		return hostlist.Allowed
	case deny >= 0, softly:
		return hostlist.Denied
	}
	return hostlist.Neutral
}

// covers is the length at which an entry covers addr, -1 if it does not, and
// whether the entry is a name.
func covers(text string, addr netip.Addr) (bits int, name bool) {
	switch {
	case text == "localhost":
		if addr == netip.MustParseAddr("127.0.0.1") || addr == netip.IPv6Loopback() {
			return addr.BitLen(), true
		}
		return -1, true
	case strings.Contains(text, "/"):
		p := netip.MustParsePrefix(text)
		if p.Contains(addr) {
			return p.Bits(), false
		}
	case strings.Contains(text, "-"):
		from, to, _ := strings.Cut(text, "-")
		return coversRange(netip.MustParseAddr(from), netip.MustParseAddr(to), addr), false
	case netip.MustParseAddr(text) == addr:
		return addr.BitLen(), false
	}
	return -1, false
}

// coversRange is the length of the widest prefix around addr that is within the
// range.
func coversRange(from, to, addr netip.Addr) int {
	within := func(a netip.Addr) bool {
		return a.BitLen() == from.BitLen() && from.Compare(a) <= 0 && a.Compare(to) <= 0
	}
	if !within(addr) {
		return -1
	}
	for bits := range addr.BitLen() {
		first := netip.PrefixFrom(addr, bits).Masked().Addr()
		if within(first) && within(highest(first, bits)) {
			return bits
		}
	}
	return addr.BitLen()
}

func highest(a netip.Addr, bits int) netip.Addr {
	b := a.AsSlice()
	for i := bits; i < 8*len(b); i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	high, _ := netip.AddrFromSlice(b)
	return high
}

func anyList(t *rapid.T) hostlist.List {
	return rapid.SampledFrom([]hostlist.List{hostlist.Allow, hostlist.Deny}).Draw(t, "list")
}

// anyEntry draws entries around the hosts that anyAddr draws.
func anyEntry() *rapid.Generator[hostlist.Entry] {
	return rapid.Custom(func(t *rapid.T) hostlist.Entry {
		a := anyAddr().Draw(t, "a")
		switch rapid.IntRange(0, 6).Draw(t, "kind") {
		case 0:
			return entry(t, "localhost")
		case 1, 2:
			a = hostlist.Canonical(a)
			bits := rapid.IntRange(a.BitLen()-10, a.BitLen()).Draw(t, "bits")
			return entry(t, netip.PrefixFrom(a, bits).Masked().String())
		case 3, 4:
			a = hostlist.Canonical(a)
			b := rapid.Custom(func(t *rapid.T) netip.Addr { return hostlist.Canonical(anyAddr().Draw(t, "b")) }).
				Filter(func(b netip.Addr) bool { return b.BitLen() == a.BitLen() }).Draw(t, "b")
			if b.Less(a) {
				a, b = b, a
			}
			return entry(t, fmt.Sprintf("%s-%s", a, b))
		}
		return entry(t, a.String())
	})
}
