package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/config"
)

func TestPrefix(t *testing.T) {
	for _, one := range []struct{ name, text, want string }{
		{"IPv4", "10.1.2.3", "10.1.2.3/32"},
		{"IPv6", "2001:db8::1", "2001:db8::1/128"},
		{"prefix", "10.0.0.0/8", "10.0.0.0/8"},
		{"bits beyond", "10.1.2.3/8", "10.0.0.0/8"},
		{"v4 in v6", "::ffff:10.1.2.3", "10.1.2.3/32"},
		{"v4 in v6 prefix", "::ffff:10.1.2.3/104", "10.0.0.0/8"},
		{"everybody", "::/0", "::/0"},
	} {
		t.Run(one.name, func(t *testing.T) {
			p, err := config.Prefix(one.text)
			require.NoError(t, err)
			require.Equal(t, one.want, p.String())
		})
	}
	for _, text := range []string{"", "host.example", "10.0.0.0/33", "10.0.0", "fe80::1%eth0", "fe80::%eth0/64", "10.0.0.1-10.0.0.9"} {
		_, err := config.Prefix(text)
		require.ErrorIs(t, err, config.ErrPrefix, text)
	}
}
