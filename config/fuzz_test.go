package config_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/config"
)

// FuzzLoad: whatever a file and an environment hold, there is either an error
// whose every line says something, or a configuration that loads again from
// what Effective shows, unless that hides a secret.
func FuzzLoad(f *testing.F) {
	block, err := os.ReadFile("testdata/thingsboard.yaml")
	require.NoError(f, err)
	f.Add(block, "QUOTA_HOST_LIMIT=5\nQUOTA_HOST_WHITELIST=")
	f.Add([]byte(everything), "")
	f.Add([]byte("quota: &q {host: &h {limit: ${X:1}}, log: {<<: [*h, *q]}}"), "WEIR_QUOTA__HOST__LIMIT=5")
	f.Add([]byte("transports: {http: {listen: '[::1]:0', trustedProxies: [\"${P}\"], forwarded: xff}}"), "P=10.0.0.0/8,::1")
	f.Add([]byte("nats: {url: 'ws://u:p@h:1', embedded: {dir: \"${:$}{\\0\"}, up: {maxAge: 1.5d2h, maxBytes: 3 gb}}"), "WEIR_NATS__URL=a,b")
	f.Add([]byte("devices: {auth: token, list: '${D:[]}'}"), `WEIR_DEVICES__LIST=[{"device":"a","token":"*x"}]`)
	f.Add([]byte("quota:\n\thost: *x"), "WEIR_A__B=1")
	f.Add([]byte(twoPolicies), "N=3")
	f.Add([]byte("quota: {policies: [{name: a, level: custom, key: topic, buckets: '10:1,300:60', sample: {quota: ∞, window: 1s, sample: 10s}}]}"),
		`WEIR_QUOTA__POLICIES=[{name: b, level: host, buckets: [{quota: none, window: 1ms}], enforceFrom: "2027-01-01T00:00:00+01:00"}]`)
	f.Add([]byte("a: |\n  b\n ---\n? !!binary [x]\n"), "")
	f.Fuzz(func(t *testing.T, data []byte, environ string) {
		l, err := config.Parse("weir.yaml", data, strings.Split(environ, "\n"))
		if err != nil {
			require.Nil(t, l)
			for line := range strings.SplitSeq(err.Error(), "\n") {
				require.NotEmpty(t, strings.TrimSpace(line))
			}
			return
		}
		shown := l.Effective()
		if bytes.Contains(shown, []byte("********")) {
			return
		}
		again, err := config.Parse("effective", shown, nil)
		require.NoError(t, err, "%s", shown)
		require.Equal(t, l.Config, again.Config)
		require.Empty(t, config.Changed(l.Config, again.Config))
	})
}
