package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/config"
)

// parse loads a text that has to be good.
func parse(t *testing.T, text string, environ ...string) *config.Loaded {
	t.Helper()
	l, err := config.Parse("weir.yaml", []byte(text), environ)
	require.NoError(t, err)
	return l
}

// refuse loads a text that has to be bad, and gives its faults line by line.
func refuse(t *testing.T, text string, environ ...string) []string {
	t.Helper()
	l, err := config.Parse("weir.yaml", []byte(text), environ)
	require.Nil(t, l)
	var faults *config.FaultsError
	require.ErrorAs(t, err, &faults)
	require.NotEmpty(t, faults.Faults)
	return strings.Split(err.Error(), "\n")
}

func TestNothingWrittenIsAllDefaults(t *testing.T) {
	for _, one := range []struct{ name, text string }{
		{"empty", ""}, {"blank", " \n\n"}, {"comment", "# quota:\n"}, {"document", "---\n"}, {"ended document", "---\n...\n"},
		{"null", "~\n"}, {"empty mapping", "{}"}, {"sections without keys", "quota:\n  host:\ntransports:\nnats: {up: }\n"},
		{"carriage returns", "quota:\r\n  host:\r\n"},
	} {
		t.Run(one.name, func(t *testing.T) {
			l := parse(t, one.text)
			require.Equal(t, config.Default(), l.Config)
			require.Empty(t, l.Warnings)
		})
	}
	l, err := config.Load(&config.Source{})
	require.NoError(t, err)
	require.Equal(t, config.Default(), l.Config)
}

func TestDefaultsAreTheContracts(t *testing.T) {
	c := config.Default()
	require.Equal(t, config.HostQuota{
		Limit: 10000, Interval: time.Minute, TTL: time.Minute, CleanPeriod: 5 * time.Minute,
		Whitelist: []string{"localhost", "127.0.0.1"}, Blacklist: []string{},
		IPv6Prefix: 64, MaxHosts: 4000000, Profile: "thingsboard",
	}, c.Quota.Host)
	require.Equal(t, 2*time.Minute, c.Quota.Log.Interval())
	require.Equal(t, "127.0.0.1:8080", c.Transports.HTTP.Listen)
	require.EqualValues(t, 65536, c.Transports.HTTP.MaxBody)
	require.Equal(t, "127.0.0.1:1883", c.Transports.MQTT.Listen)
	require.Equal(t, "127.0.0.1:5683", c.Transports.CoAP.Listen)
	require.Equal(t, "127.0.0.1:4222", c.NATS.Embedded.Listen)
	require.Equal(t, "127.0.0.1:8088", c.Control.Listen)
	require.Equal(t, config.Up{MaxAge: 168 * time.Hour, MaxBytes: 10 << 30, WhenFull: "discardOldest", Replicas: 1}, c.NATS.Up)
	c.Quota.Host.Whitelist[0] = "changed"
	require.Equal(t, "localhost", config.Default().Quota.Host.Whitelist[0], "a default is nobody's to change")
}

func TestThingsBoardsBlockLoadsVerbatimAndAlone(t *testing.T) {
	const path = "testdata/thingsboard.yaml"
	l, err := config.Load(&config.Source{Path: path})
	require.NoError(t, err)
	want := config.Default()
	want.Quota.Host.Enabled = true
	want.Quota.Host.Blacklist = []string{"eveldomain.com"}
	require.Equal(t, want, l.Config)
	require.Equal(t, path+":4", l.At("quota.host.limit"))
	require.Equal(t, path+":16", l.At("quota.host.blacklist[0]"))

	l, err = config.Load(&config.Source{Path: path, Environ: []string{
		"QUOTA_HOST_WHITELIST=", "QUOTA_HOST_LIMIT=5", "QUOTA_HOST_ENABLED=false", "QUOTA_HOST_BLACKLIST= a.example , ,b.example,",
	}})
	require.NoError(t, err)
	want.Quota.Host.Enabled = false
	want.Quota.Host.Limit = 5
	want.Quota.Host.Whitelist = []string{}
	want.Quota.Host.Blacklist = []string{"a.example", "b.example"}
	require.Equal(t, want, l.Config)
}

const everything = `
quota:
  host: {limit: 0, intervalMs: 1000, ttlMs: "2000", cleanPeriodMs: 500, enabled: "on", whitelist: [10.0.0.0/8, " b , c "],
         blacklist: , ipv6Prefix: 48, maxHosts: 50000, profile: standard}
  log: {topSize: 3, intervalMin: 0.05}
  partitionKey: identity
transports:
  http: {listen: "0.0.0.0:0", trustedProxies: "10.0.0.1, fd00::/8", forwarded: xff, proxyProtocol: off, maxBody: 1KiB}
  mqtt: {listen: "[::]:1883", trustedProxies: ["::1"], proxyProtocol: on, maxPacket: 2 kb}
  coap: {listen: off}
devices:
  auth: token
  list:
    - {device: one, token: t1}
    - account: acme
      device: 7
      token: "0123"
  maxOpen: 1
nats:
  url: nats://a:4222, tls://user:pw@b
  credentials: /etc/weir/nats.creds
  tls: {ca: ca.pem, cert: c.pem, key: k.pem}
  up: {maxAge: 1.5d12h, maxBytes: 1000000, whenFull: refuse, replicas: 3}
control: {listen: "localhost:0"}
`

func TestEveryKeyIsRead(t *testing.T) {
	l := parse(t, everything)
	require.Empty(t, l.Warnings)
	require.Equal(t, config.Config{
		Quota: config.Quota{
			Host: config.HostQuota{
				Limit: 0, Interval: time.Second, TTL: 2 * time.Second, CleanPeriod: 500 * time.Millisecond, Enabled: true,
				Whitelist: []string{"10.0.0.0/8", "b", "c"}, Blacklist: []string{}, IPv6Prefix: 48, MaxHosts: 50000, Profile: "standard",
			},
			Log:     config.Log{TopSize: 3, IntervalMin: 0.05},
			Profile: "thingsboard", Policies: []config.Policy{},
			PartitionKey: "identity",
		},
		Transports: config.Transports{
			HTTP: config.HTTP{Listen: "0.0.0.0:0", TrustedProxies: []string{"10.0.0.1", "fd00::/8"}, Forwarded: "xff", MaxBody: 1024},
			MQTT: config.MQTT{Listen: "[::]:1883", TrustedProxies: []string{"::1"}, ProxyProtocol: true, MaxPacket: 2000},
		},
		Devices: config.Devices{Auth: "token", MaxOpen: 1, List: []config.Device{
			{Account: "default", Device: "one", Token: "t1"}, {Account: "acme", Device: "7", Token: "0123"},
		}},
		NATS: config.NATS{
			URL: "nats://a:4222, tls://user:pw@b", Credentials: "/etc/weir/nats.creds",
			TLS:      config.ClientTLS{CA: "ca.pem", Cert: "c.pem", Key: "k.pem"},
			Embedded: config.Default().NATS.Embedded,
			Up:       config.Up{MaxAge: 48 * time.Hour, MaxBytes: 1e6, WhenFull: "refuse", Replicas: 3},
		},
		Control: config.Control{Listen: "localhost:0"},
	}, l.Config)
	require.Equal(t, 3*time.Second, l.Config.Quota.Log.Interval())
}

func TestEmbeddedOffLoopbackWithUsersAndTLS(t *testing.T) {
	l := parse(t, `nats: {embedded: {listen: ":4222", dir: /data, sync: interval, users: [{user: a, password: p}], tls: {cert: c, key: k}}}`)
	require.Equal(t, config.Embedded{
		Listen: ":4222", Dir: "/data", Sync: "interval",
		Users: []config.User{{User: "a", Password: "p"}}, TLS: config.ServerTLS{Cert: "c", Key: "k"},
	}, l.Config.NATS.Embedded)
}

func TestAnchorsAliasesAndMergeKeys(t *testing.T) {
	l := parse(t, `
transports:
  http: &tcp
    trustedProxies: &proxies [10.0.0.0/8]
    proxyProtocol: on
    listen: off
  mqtt:
    <<: [{proxyProtocol: off}, {listen: "127.0.0.1:1", proxyProtocol: on}]
    trustedProxies: *proxies
devices:
  list:
    - &base {account: acme, device: a, token: one}
    - <<: *base
      token: two
`)
	require.Equal(t, []string{"10.0.0.0/8"}, l.Config.Transports.MQTT.TrustedProxies)
	require.False(t, l.Config.Transports.MQTT.ProxyProtocol, "the first merged section wins")
	require.Equal(t, "127.0.0.1:1", l.Config.Transports.MQTT.Listen)
	require.Equal(t, []config.Device{{"acme", "a", "one"}, {"acme", "a", "two"}}, l.Config.Devices.List)
	require.Equal(t, "weir.yaml:9", l.At("transports.mqtt.trustedProxies"))
	require.Equal(t, "weir.yaml:12", l.At("devices.list[1].device"))
}

func TestPlaceholders(t *testing.T) {
	for _, one := range []struct{ name, text, want string }{
		{"set", "${SET:other}", "value"},
		{"set, no default", "${SET}", "value"},
		{"set but empty", "${EMPTY:other}", ""},
		{"unset", "${UNSET:other}", "other"},
		{"empty default", "${UNSET:}", ""},
		{"colons and commas", "${UNSET:a:b,c}", "a:b,c"},
		{"within text", "/data/${SET:x}/${UNSET:y}.pem", "/data/value/y.pem"},
		{"lone dollar", "$ and $SET and 5$", "$ and $SET and 5$"},
		{"two dollars", "$$", "$$"},
		{"two dollars before a placeholder", "$${SET}", "$value"},
		{"a value is not expanded again", "${NESTED:}", "${SET}"},
		{"without a name", "${:$}{SET}", "${SET}"},
	} {
		t.Run(one.name, func(t *testing.T) {
			l := parse(t, "nats: {embedded: {dir: 'x"+one.text+"'}}", "SET=value", "EMPTY=", "NESTED=${SET}")
			require.Equal(t, "x"+one.want, l.Config.NATS.Embedded.Dir)
		})
	}
}

func TestAListMayComeFromAPlaceholder(t *testing.T) {
	const text = "devices: {auth: token, list: '${DEVICES:}'}"
	require.Empty(t, parse(t, text).Config.Devices.List)
	l := parse(t, text, `DEVICES=[{"device": "a", "token": "${not}"}]`)
	require.Equal(t, []config.Device{{"default", "a", "${not}"}}, l.Config.Devices.List)
	require.Equal(t, "weir.yaml:1", l.At("devices.list[0].token"))
}

func TestOverrides(t *testing.T) {
	const file = "quota: {host: {limit: '${NOT_SET}', whitelist: [a, b]}}"
	l := parse(t, file,
		"WEIR_QUOTA__HOST__LIMIT=5", "WEIR_quota__Host__ttlms= 70000 ", "WEIR_QUOTA__HOST__WHITELIST=c, d,,",
		"WEIR_NATS__EMBEDDED__DIR=${NOT_SET}", "WEIR_TRANSPORTS__HTTP__LISTEN=",
		"WEIR_DEVICES__AUTH=token", `WEIR_DEVICES__LIST=[{device: x, token: t1}, {"account":"a","device":"y","token":"t2"}]`,
		"WEIR_QUOTA__HOST__LIMIT=6", "WEIR_CONTROL=http://127.0.0.1:1", "WEIR_E2E=all", "weir_quota__x=1", "=C:=odd", "odd",
	)
	c := l.Config
	require.EqualValues(t, 5, c.Quota.Host.Limit, "the first of two entries of one name counts")
	require.Equal(t, 70*time.Second, c.Quota.Host.TTL)
	require.Equal(t, []string{"c", "d"}, c.Quota.Host.Whitelist)
	require.Equal(t, "${NOT_SET}", c.NATS.Embedded.Dir, "an override is taken as it stands")
	require.Empty(t, c.Transports.HTTP.Listen)
	require.Equal(t, []config.Device{{"default", "x", "t1"}, {"a", "y", "t2"}}, c.Devices.List)

	require.Equal(t, "environment WEIR_QUOTA__HOST__LIMIT", l.At("quota.host.limit"))
	require.Equal(t, "environment WEIR_quota__Host__ttlms", l.At("quota.host.ttlMs"))
	require.Equal(t, "environment WEIR_QUOTA__HOST__WHITELIST", l.At("quota.host.whitelist[1]"))
	require.Equal(t, "environment WEIR_DEVICES__LIST", l.At("devices.list[1].token"))
}

func TestAtKnowsEveryPlace(t *testing.T) {
	l := parse(t, `
quota:
  host:
    whitelist:
      - 10.0.0.1
      - ""
      - host.example, other.example
    blacklist: "a, b"
devices:
  auth: token
  list:
    - device: a
      token: t
`)
	for path, want := range map[string]string{
		"quota":                   "weir.yaml:2",
		"quota.host":              "weir.yaml:3",
		"quota.host.limit":        config.DefaultPlace,
		"quota.host.whitelist":    "weir.yaml:4",
		"quota.host.whitelist[0]": "weir.yaml:5",
		"quota.host.whitelist[1]": "weir.yaml:7",
		"quota.host.whitelist[2]": "weir.yaml:7",
		"quota.host.whitelist[9]": "weir.yaml:4",
		"quota.host.blacklist[1]": "weir.yaml:8",
		"devices.list[0]":         "weir.yaml:12",
		"devices.list[0].account": "weir.yaml:12",
		"devices.list[0].token":   "weir.yaml:13",
		"control":                 config.DefaultPlace,
		"no.such[1].key":          config.DefaultPlace,
		"":                        "weir.yaml:2",
		"[":                       config.DefaultPlace,
	} {
		require.Equal(t, want, l.At(path), path)
	}
	require.Equal(t, "weir.yaml:7: quota.host.whitelist[2]: is no host",
		l.Fault("quota.host.whitelist[2]", "is no host").String())
}

func TestWarnings(t *testing.T) {
	for _, one := range []struct {
		name, text string
		want       []string
	}{
		{"token mode without devices", "devices: {auth: token}", []string{
			"weir.yaml:1: devices.auth: token is set and devices.list is empty: no device can come in"}},
		{"devices in open mode", "devices:\n  list: [{device: a, token: b}]", []string{
			"weir.yaml:2: devices.list: devices.auth is open: any token is let in, not only those listed; set devices.auth: token"}},
		{"embedded beside url", "nats:\n  url: nats://a\n  embedded:\n    dir: x\n    tls: {cert: c, key: k}", []string{
			"weir.yaml:4: nats.embedded.dir: is set beside nats.url: that NATS is used and none embedded, so that it has no effect",
			"weir.yaml:5: nats.embedded.tls.cert: is set beside nats.url: that NATS is used and none embedded, so that it has no effect",
			"weir.yaml:5: nats.embedded.tls.key: is set beside nats.url: that NATS is used and none embedded, so that it has no effect"}},
		{"embedded is not checked beside url", "nats: {url: nats://a, embedded: {listen: ':4222'}}", []string{
			"weir.yaml:1: nats.embedded.listen: is set beside nats.url: that NATS is used and none embedded, so that it has no effect"}},
		{"tls without url", "nats: {tls: {ca: x}, credentials: y}", []string{
			"weir.yaml:1: nats.credentials: needs nats.url, which is not set: it has no effect",
			"weir.yaml:1: nats.tls.ca: needs nats.url, which is not set: it has no effect"}},
	} {
		t.Run(one.name, func(t *testing.T) { require.Equal(t, one.want, parse(t, one.text).Warnings) })
	}
}

func TestOpenModeIsSafeByDefault(t *testing.T) {
	for _, one := range []struct {
		name, text string
		environ    []string
	}{
		{"loopback addresses", "transports: {http: {listen: '127.9.9.9:1'}, mqtt: {listen: '[::1]:1'}, coap: {listen: 'LocalHost:1'}}", nil},
		{"v4 in v6", "transports: {http: {listen: '[::ffff:127.0.0.1]:1'}}", nil},
		{"switched off", "transports: {http: {listen: ''}, mqtt: {listen: Off}, coap: {listen: }}", nil},
		{"open in so many words", "devices: {auth: open}\ntransports: {http: {listen: ':8080'}}", nil},
		{"open by a placeholder", "devices: {auth: '${AUTH:open}'}\ntransports: {http: {listen: ':8080'}}", nil},
		{"open in the environment", "transports: {http: {listen: ':8080'}}", []string{"WEIR_DEVICES__AUTH=open"}},
		{"token", "devices: {auth: token}\ntransports: {http: {listen: ':8080'}}", nil},
	} {
		t.Run(one.name, func(t *testing.T) { parse(t, one.text, one.environ...) })
	}
}

func TestLoadReadsFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "weir.yaml")
	require.NoError(t, os.WriteFile(path, []byte("quota: {host: {limit: 7}}"), 0o600))
	l, err := config.Load(&config.Source{Path: path, Environ: []string{"WEIR_QUOTA__LOG__TOPSIZE=9"}})
	require.NoError(t, err)
	require.EqualValues(t, 7, l.Config.Quota.Host.Limit)
	require.Equal(t, 9, l.Config.Quota.Log.TopSize)
	require.Equal(t, path+":1", l.At("quota.host.limit"))

	large := filepath.Join(dir, "large.yaml")
	require.NoError(t, os.WriteFile(large, []byte(strings.Repeat("#\n", config.MaxFile/2)), 0o600))
	_, err = config.Load(&config.Source{Path: large})
	require.NoError(t, err, "1 MiB is not too large")
	require.NoError(t, os.WriteFile(large, []byte(strings.Repeat("#\n", config.MaxFile/2)+"#"), 0o600))

	missing := filepath.Join(dir, "missing.yaml")
	for path, want := range map[string]string{
		missing: missing + ": cannot be read: no such file or directory; expected a YAML file",
		dir:     dir + ": cannot be read: is a directory; expected a YAML file",
		large:   large + ": is larger than 1 MiB; expected a configuration",
	} {
		_, err := config.Load(&config.Source{Path: path})
		require.EqualError(t, err, want)
	}
	_, err = config.Load(&config.Source{Path: missing, Environ: []string{"WEIR_QUOTA__HOST__LIMIT=x"}})
	require.EqualError(t, err, missing+": cannot be read: no such file or directory; expected a YAML file\n"+
		`environment WEIR_QUOTA__HOST__LIMIT: quota.host.limit: "x" is not a whole number; expected a whole number from 0 to 4294967295`)
}

func TestAFileThatMayNotBeRead(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root reads every file")
	}
	path := filepath.Join(t.TempDir(), "weir.yaml")
	require.NoError(t, os.WriteFile(path, nil, 0))
	_, err := config.Load(&config.Source{Path: path})
	require.EqualError(t, err, path+": cannot be read: permission denied; expected a YAML file")
}
