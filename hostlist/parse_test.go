package hostlist_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/hostlist"
)

func TestParseEntry(t *testing.T) {
	long := strings.Repeat("a", 63)
	tests := []struct {
		name, in string
		kind     hostlist.Kind
		want     string
	}{
		{"IPv4", "192.0.2.1", hostlist.Address, "192.0.2.1"},
		{"white space", " \t192.0.2.1\r\n", hostlist.Address, "192.0.2.1"},
		{"IPv6", "2001:DB8:0::1", hostlist.Address, "2001:db8::1"},
		{"v4 in v6", "::ffff:192.0.2.1", hostlist.Address, "192.0.2.1"},
		{"NAT64", "64:ff9b::192.0.2.1", hostlist.Address, "192.0.2.1"},
		{"prefix", "10.0.0.0/8", hostlist.Prefix, "10.0.0.0/8"},
		{"every IPv4 host", "0.0.0.0/0", hostlist.Prefix, "0.0.0.0/0"},
		{"every IPv6 host", "::/0", hostlist.Prefix, "::/0"},
		{"prefix of one", "10.1.2.3/32", hostlist.Address, "10.1.2.3"},
		{"IPv6 prefix of one", "2001:db8::1/128", hostlist.Address, "2001:db8::1"},
		{"v4 in v6 prefix", "::ffff:10.0.0.0/104", hostlist.Prefix, "10.0.0.0/8"},
		{"all of v4 in v6", "::ffff:0:0/96", hostlist.Prefix, "0.0.0.0/0"},
		{"v4 in v6 prefix of one", "::ffff:10.0.0.1/128", hostlist.Address, "10.0.0.1"},
		{"NAT64 prefix", "64:ff9b::10.0.0.0/104", hostlist.Prefix, "10.0.0.0/8"},
		{"wider than NAT64", "64:ff9b::/32", hostlist.Prefix, "64:ff9b::/32"},
		{"range", "10.0.0.1-10.0.0.9", hostlist.Range, "10.0.0.1-10.0.0.9"},
		{"range with spaces", "10.0.0.1 - 10.0.0.9", hostlist.Range, "10.0.0.1-10.0.0.9"},
		{"range of one", "10.0.0.1-10.0.0.1", hostlist.Address, "10.0.0.1"},
		{"IPv6 range", "2001:db8::1-2001:db8::ff", hostlist.Range, "2001:db8::1-2001:db8::ff"},
		{"v4 in v6 range", "::ffff:10.0.0.1-10.0.0.9", hostlist.Range, "10.0.0.1-10.0.0.9"},
		{"name", "Gate.Example.COM", hostlist.Name, "gate.example.com"},
		{"dot at the end", "gate.example.com.", hostlist.Name, "gate.example.com"},
		{"single label", "localhost", hostlist.Name, "localhost"},
		{"underscore", "_mqtt._tcp.example.com", hostlist.Name, "_mqtt._tcp.example.com"},
		{"hyphens", "my--gate-1.example", hostlist.Name, "my--gate-1.example"},
		{"digits first", "3com.example", hostlist.Name, "3com.example"},
		{"name that begins with an address", "192.0.2.1-static.example.com", hostlist.Name, "192.0.2.1-static.example.com"},
		{"international", "xn--bcher-kva.example", hostlist.Name, "xn--bcher-kva.example"},
		{"longest label", long + ".example", hostlist.Name, long + ".example"},
		{"longest name", strings.Repeat(long+".", 3) + long[:61] + ".", hostlist.Name, strings.Repeat(long+".", 3) + long[:61]},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, err := hostlist.ParseEntry(tt.in)
			require.NoError(t, err)
			require.Equal(t, tt.kind, e.Kind())
			require.Equal(t, tt.want, e.String())
		})
	}
}

func TestParseEntryRefuses(t *testing.T) {
	long := strings.Repeat("a", 64)
	tests := []struct{ name, in, problem string }{
		{"nothing", "", "is empty"},
		{"white space", " \t", "is empty"},
		{"octet over 255", "10.0.0.256", "no valid address"},
		{"first octet over 255", "300.1.1.1", "no valid address"},
		{"three octets", "10.0.0", "no valid address"},
		{"five octets", "10.0.0.0.1", "no valid address"},
		{"leading zero", "010.0.0.1", "no valid address"},
		{"one number", "167772161", "no valid address"},
		{"hexadecimal", "0x7f000001", "no valid address"},
		{"hexadecimal octet", "127.0.0.0x1", "no valid address"},
		{"name that ends in a number", "gate.1", "no valid address"},
		{"port", "10.0.0.1:80", "no IPv6 address"},
		{"bad IPv6", "2001:db8::1::2", "no IPv6 address"},
		{"brackets", "[2001:db8::1]", "no IPv6 address"},
		{"zone", "fe80::1%eth0", "has a zone"},
		{"zone in a prefix", "fe80::1%eth0/64", "has a zone"},
		{"zone in a range", "fe80::1-fe80::9%eth0", "has a zone"},
		{"host bits", "10.0.0.1/8", "write 10.0.0.0/8, or 10.0.0.1 for that host alone"},
		{"host bits of IPv6", "2001:db8::1/32", "write 2001:db8::/32"},
		{"host bits after folding", "::ffff:10.0.0.1/104", "write 10.0.0.0/8"},
		{"v4 in v6 cut short", "::ffff:10.0.0.0/90", "beyond its length"},
		{"length over 32", "10.0.0.0/33", "no prefix"},
		{"negative length", "10.0.0.0/-1", "no prefix"},
		{"netmask", "10.0.0.0/255.0.0.0", "no prefix"},
		{"name in a prefix", "example.com/24", "no prefix"},
		{"short range", "10.0.0.1-9", "two whole addresses"},
		{"range to a bad address", "10.0.0.1-10.0.0.256", "two whole addresses"},
		{"range to nothing", "10.0.0.1-", "two whole addresses"},
		{"range from a bad address", "10.0.0.256-10.0.0.9", "no valid address"},
		{"range of two kinds", "10.0.0.1-2001:db8::1", "mixes IPv4 and IPv6"},
		{"range backwards", "10.0.0.9-10.0.0.1", "write 10.0.0.1-10.0.0.9"},
		{"label over 63", long + ".example", "more than 63"},
		{"name over 253", strings.Repeat(long[:62]+".", 4) + "a.b", "is too long"},
		{"far too long", strings.Repeat("a.", 1000), "is too long"},
		{"empty label", "gate..example", "empty label"},
		{"dot alone", ".", "empty label"},
		{"dot first", ".example", "empty label"},
		{"hyphen first", "-gate.example", "hyphen at its end"},
		{"hyphen last", "gate-.example", "hyphen at its end"},
		{"wildcard", "*.example", "character '*'"},
		{"two names", "a.example b.example", "character ' '"},
		{"beyond ASCII", "bücher.example", "xn--"},
		{"control character", "gate\x00.example", `character '\x00'`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, err := hostlist.ParseEntry(tt.in)
			var bad *hostlist.ParseError
			require.ErrorAs(t, err, &bad)
			require.Zero(t, e)
			require.Contains(t, bad.Problem, tt.problem)
			require.LessOrEqual(t, len(bad.Entry), 83, "a bad entry is not shown at any length")
			require.Contains(t, err.Error(), bad.Problem)
		})
	}
}

func TestParseEntries(t *testing.T) {
	entries, err := hostlist.ParseEntries(" localhost , ,127.0.0.1,")
	require.NoError(t, err)
	require.Equal(t, "[localhost 127.0.0.1]", strings.Join([]string{"[" + entries[0].String(), entries[1].String() + "]"}, " "))
	require.Len(t, entries, 2)

	none, err := hostlist.ParseEntries("")
	require.NoError(t, err)
	require.Empty(t, none)

	good, err := hostlist.ParseEntries("10.0.0.256,10.0.0.1,10.0.0.1/8")
	require.Len(t, good, 1)
	require.ErrorContains(t, err, `"10.0.0.256"`)
	require.ErrorContains(t, err, `"10.0.0.1/8"`)
}

func TestNames(t *testing.T) {
	require.Equal(t, "none", hostlist.Kind(0).String())
	require.Equal(t, "range", hostlist.Range.String())
	require.Equal(t, "unknown", hostlist.Kind(99).String())
	require.Equal(t, "allow", hostlist.Allow.String())
	require.Equal(t, "deny", hostlist.Deny.String())
	require.Equal(t, "denied", hostlist.Denied.String())
	require.Equal(t, "unknown", hostlist.Verdict(99).String())
	require.Empty(t, hostlist.Entry{}.String())
}

func FuzzParseEntry(f *testing.F) {
	for _, s := range []string{
		"", "localhost", "127.0.0.1", "10.0.0.0/8", "10.0.0.1-10.0.0.9", "::ffff:10.0.0.0/104", "64:ff9b::/96",
		"2001:db8::1-2001:db8::ff", "10.0.0.256", "fe80::1%eth0", "a.b.", "0x1", "1-2", "1.2.3.4-5.example", "\xff",
		"::ffff:0:0-64:ff9b::ffff:ffff", "ff::/8", "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := hostlist.ParseEntry(s)
		if err != nil {
			var bad *hostlist.ParseError
			if !errors.As(err, &bad) || bad.Problem == "" {
				t.Fatalf("%q: %v is no ParseError that says what is wrong", s, err)
			}
			return
		}
		again, err := hostlist.ParseEntry(e.String())
		if err != nil || again != e {
			t.Fatalf("%q became %q, which became %q, %v", s, e, again, err)
		}
		l := hostlist.New(&hostlist.Config{})
		if err := l.Put(hostlist.Deny, e); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		if !l.Delete(hostlist.Deny, again) || l.Stats() != (hostlist.Stats{}) {
			t.Fatalf("%q leaves something behind: %+v", s, l.Stats())
		}
	})
}
