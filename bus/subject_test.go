package bus_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/bus"
)

func TestSubject(t *testing.T) {
	long := strings.Repeat("a", 200)
	tests := []struct {
		name, account, device, kind string
		want                        string // "": ErrSubject
	}{
		{"plain", "default", "d-1_A", "telemetry", "weir.up.default.d-1_A.telemetry"},
		{"separators and wildcards", "a.b", "*", ">", "weir.up.a%2Eb.%2A.%3E"},
		{"blanks and line ends", "a b", "c\r\nd", "e\tf", "weir.up.a%20b.c%0D%0Ad.e%09f"},
		{"empty names", "", "", "telemetry", "weir.up.%.%.telemetry"},
		{"the escape itself", "%", "%41", "telemetry", "weir.up.%25.%2541.telemetry"},
		{"not ASCII", "ü", "日", "telemetry", "weir.up.%C3%BC.%E6%97%A5.telemetry"},
		{"a topic's levels", "a", "d", "msg/room/temp.c", "weir.up.a.d.msg.room.temp%2Ec"},
		{"empty levels", "a", "d", "msg//x/", "weir.up.a.d.msg.%.x.%"},
		{"as long as may be", long, long, strings.Repeat("k", 102), "weir.up." + long + "." + long + "." + strings.Repeat("k", 102)},
		{"a byte longer", long, long, strings.Repeat("k", 103), ""},
		{"longer by escaping", strings.Repeat(".", 170), "d", "telemetry", ""},
		{"very long", strings.Repeat("a", 1<<20), "d", "telemetry", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := bus.SubjectOf("weir.up", tt.account, tt.device, tt.kind)
			if tt.want == "" {
				require.ErrorIs(t, err, bus.ErrSubject)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
		})
	}
}

func TestHeaderValue(t *testing.T) {
	tests := []struct{ name, value, want string }{
		{"plain", "192.0.2.1", "192.0.2.1"},
		{"inner blank", "a b", "a b"},
		{"outer blanks", " a b ", "%20a b%20"},
		{"a header of its own", "a\r\nNats-Rollup: all", "a%0D%0ANats-Rollup: all"},
		{"the escape itself", "50%", "50%25"},
		{"not ASCII", "Küche", "Küche"},
		{"control", "\x00\x7f", "%00%7F"},
		{"empty", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { require.Equal(t, tt.want, bus.HeaderValue(tt.value)) })
	}
}

// FuzzEscape: a token is one token whatever it is made of, and says exactly
// what that was; so does a header's value.
func FuzzEscape(f *testing.F) {
	for _, seed := range []string{"", "default", ".", "a.b", "*", ">", "%", "%2E", " ", "\r\n", "\x00", "ü", "\xff\xfe", "$SYS", "a b", " x "} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		token := string(bus.AppendToken(nil, s))
		require.NotEmpty(t, token)
		for _, c := range []byte(token) {
			require.True(t, c == '%' || c == '-' || c == '_' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z', "%q", token)
		}
		back := ""
		if token != "%" {
			var err error
			back, err = url.PathUnescape(token)
			require.NoError(t, err)
		}
		require.Equal(t, s, back)

		value := bus.HeaderValue(s)
		read, err := nats.DecodeHeadersMsg([]byte("NATS/1.0\r\nWeir-Device: " + value + "\r\n\r\n"))
		require.NoError(t, err)
		require.Equal(t, nats.Header{"Weir-Device": {value}}, read, "as a client reads it")
		back, err = url.PathUnescape(value)
		require.NoError(t, err)
		require.Equal(t, s, back)
	})
}
