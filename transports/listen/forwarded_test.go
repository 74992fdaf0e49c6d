package listen_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/transports/listen"
)

func TestForwarded(t *testing.T) {
	proxies := trusted(t, "10.0.0.0/8", "2001:db8:aaaa::/48")
	const (
		none, xff, rfc = listen.ForwardedNone, listen.ForwardedXFF, listen.ForwardedRFC
		proxy          = "10.0.0.1"
	)
	for _, tt := range []struct {
		name   string
		mode   listen.ForwardedMode
		peer   string
		values []string
		want   string // "": unknown
	}{
		{"untrusted peer, header ignored", xff, "203.0.113.9", []string{"192.0.2.1"}, "203.0.113.9"},
		{"untrusted peer v4-in-v6", xff, "::ffff:203.0.113.9", nil, "203.0.113.9"},
		{"trusted peer v4-in-v6", xff, "::ffff:10.0.0.1", []string{"192.0.2.1"}, "192.0.2.1"},
		{"no header", xff, proxy, nil, ""},
		{"empty header", xff, proxy, []string{""}, ""},
		{"only commas", xff, proxy, []string{" , ,, "}, ""},
		{"no mode", none, proxy, []string{"192.0.2.1"}, ""},
		{"xff one", xff, proxy, []string{"192.0.2.1"}, "192.0.2.1"},
		{"xff rightmost untrusted", xff, proxy, []string{"198.51.100.7, 192.0.2.1, 10.2.3.4"}, "192.0.2.1"},
		{"xff several fields", xff, proxy, []string{"198.51.100.7", "192.0.2.1", "10.2.3.4"}, "192.0.2.1"},
		{"xff proxies only", xff, proxy, []string{"10.9.9.9, 10.2.3.4"}, ""},
		{"xff port", xff, proxy, []string{"192.0.2.1:4711"}, "192.0.2.1"},
		{"xff IPv6", xff, proxy, []string{"2001:db8::1"}, "2001:db8::1"},
		{"xff IPv6 port", xff, proxy, []string{"[2001:db8::1]:4711"}, "2001:db8::1"},
		{"xff IPv6 zone", xff, proxy, []string{"fe80::1%eth0"}, "fe80::1"},
		{"xff v4-in-v6", xff, proxy, []string{"::ffff:192.0.2.1"}, "192.0.2.1"},
		{"xff garbage left of the client", xff, proxy, []string{`"<script>, 192.0.2.1`}, "192.0.2.1"},
		{"xff garbage at the right", xff, proxy, []string{"192.0.2.1, junk"}, ""},
		{"xff unknown", xff, proxy, []string{"192.0.2.1, unknown"}, ""},
		{"for", rfc, proxy, []string{"for=192.0.2.1"}, "192.0.2.1"},
		{"for among others, any case", rfc, proxy, []string{`proto=https;FOR=192.0.2.1;by="_p"`}, "192.0.2.1"},
		{"quoted IPv6 and port", rfc, proxy, []string{`for="[2001:db8::1]:4711"`}, "2001:db8::1"},
		{"quoted, with separators", rfc, proxy, []string{`for=192.0.2.1;host="a,b;c"`}, "192.0.2.1"},
		{"escaped", rfc, proxy, []string{`for="192\.0.2.1"`}, "192.0.2.1"},
		{"chain", rfc, proxy, []string{`for=198.51.100.7, for=192.0.2.1;by=10.0.0.2, for="[2001:db8:aaaa::2]"`}, "192.0.2.1"},
		{"a client's open quote hides nothing", rfc, proxy, []string{`for="198.51.100.7, for=192.0.2.1`}, "192.0.2.1"},
		{"a client's open quote, quoted proxy", rfc, proxy, []string{`for="1.1.1.1, for="192.0.2.1:80"`}, "192.0.2.1"},
		{"unknown", rfc, proxy, []string{"for=unknown"}, ""},
		{"obfuscated", rfc, proxy, []string{"for=_hidden, for=_SEVKISEK"}, ""},
		{"no for", rfc, proxy, []string{"by=10.0.0.2;proto=http"}, ""},
		{"two fors", rfc, proxy, []string{"for=192.0.2.1;for=192.0.2.2"}, ""},
		{"unclosed quote", rfc, proxy, []string{`for="192.0.2.1`}, ""},
		{"bad brackets", rfc, proxy, []string{`for="[2001:db8::1"`}, ""},
		{"junk after brackets", rfc, proxy, []string{`for="[2001:db8::1]x"`}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			addr, ok := listen.Forwarded(tt.mode, tt.values, netip.MustParseAddr(tt.peer), proxies)
			require.Equal(t, tt.want != "", ok)
			if ok {
				require.Equal(t, tt.want, addr.String())
			}
		})
	}
	_, ok := listen.Forwarded(xff, []string{"192.0.2.1"}, netip.Addr{}, proxies)
	require.False(t, ok, "nobody is trusted without an address")
}

func TestForwardedMode(t *testing.T) {
	for name, want := range map[string]string{"none": "", "xff": "X-Forwarded-For", "forwarded": "Forwarded"} {
		m, err := listen.ParseForwardedMode(name)
		require.NoError(t, err)
		require.Equal(t, name, m.String())
		require.Equal(t, want, m.Header())
	}
	_, err := listen.ParseForwardedMode("XFF")
	require.ErrorIs(t, err, listen.ErrForwardedMode)
}

func TestParsePrefixes(t *testing.T) {
	got, err := listen.ParsePrefixes([]string{" 10.1.2.3/8 ", "192.0.2.1", "", "2001:db8::1/32", "::ffff:10.0.0.0/104", "::ffff:192.0.2.7"})
	require.NoError(t, err)
	var texts []string
	for _, p := range got {
		texts = append(texts, p.String())
	}
	require.Equal(t, []string{"10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32", "10.0.0.0/8", "192.0.2.7/32"}, texts)

	_, err = listen.ParsePrefixes([]string{"10.0.0.1", "proxy.example", "10.0.0.0/33", "fe80::1%eth0", "::ffff:0:0/90"})
	for _, bad := range []string{"proxy.example", "10.0.0.0/33", "fe80::1%eth0", "::ffff:0:0/90"} {
		require.ErrorContains(t, err, `"`+bad+`" is no network; expected an address or a CIDR prefix`)
	}
	require.Len(t, strings.Split(err.Error(), "\n"), 4)
}

func FuzzForwarded(f *testing.F) {
	for _, s := range []string{
		`for=192.0.2.1`, `for="[2001:db8::1]:80";by=x, for=_a`, `for="a\"b,c;d", 1.2.3.4`, "\n192.0.2.1,10.0.0.1",
		`"`, `\`, `,`, `;`, `for=`, `[::1]:`, `1.2.3.4:5`,
	} {
		f.Add(s, s)
	}
	proxies := listen.Prefixes{netip.MustParsePrefix("10.0.0.0/8")}
	proxy, stranger := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("203.0.113.9")
	client := netip.MustParseAddr("198.51.100.7")
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, mode := range []listen.ForwardedMode{listen.ForwardedXFF, listen.ForwardedRFC} {
			addr, ok := listen.Forwarded(mode, []string{a, b}, proxy, proxies)
			require.Equal(t, ok, addr.IsValid())
			require.False(t, ok && proxies.Contains(addr), "a proxy is never the client")
			addr, ok = listen.Forwarded(mode, []string{a, b}, stranger, proxies)
			require.True(t, ok && addr == stranger, "a stranger's header means nothing")
		}
		// Whatever a client writes, what the proxy appends is what counts.
		addr, ok := listen.Forwarded(listen.ForwardedXFF, []string{a, b + ", 198.51.100.7"}, proxy, proxies)
		require.True(t, ok && addr == client)
		addr, ok = listen.Forwarded(listen.ForwardedRFC, []string{a, b + `, for="198.51.100.7:80";proto=http`}, proxy, proxies)
		require.True(t, ok && addr == client)
	})
}
