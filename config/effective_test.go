package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/config"
)

func TestEffective(t *testing.T) {
	l := parse(t, `quota:
  host: {limit: 5, whitelist: "a, b"}
transports:
  http: {listen: "", maxBody: 1000, proxyProtocol: on, trustedProxies: 10.0.0.0/8}
devices:
  auth: token
  list:
    - {device: 'quote" and ${:$}{X}', token: s3cret}
    - account: acme
      device: b
      token: s3cret2
nats:
  url: nats://user:s3cret@a:4222,b,tls://s3cret@c
  credentials: s3cret.creds
  up: {maxAge: 90m}
`, "WEIR_NATS__EMBEDDED__USERS=[{user: u, password: s3cret}]", "WEIR_QUOTA__LOG__INTERVALMIN=0.5", "WEIR_NATS__UP__MAXBYTES=5GB")
	require.Equal(t, `quota:
  host:
    limit: 5 # weir.yaml:2
    intervalMs: 60000
    ttlMs: 60000
    cleanPeriodMs: 300000
    enabled: false
    whitelist: ["a", "b"] # weir.yaml:2
    blacklist: []
    ipv6Prefix: 64
    maxHosts: 4000000
    profile: thingsboard
  log:
    topSize: 10
    intervalMin: 0.5 # environment WEIR_QUOTA__LOG__INTERVALMIN
  profile: thingsboard
  policies: []
  partitionKey: hash
transports:
  http:
    listen: off # weir.yaml:4
    trustedProxies: ["10.0.0.0/8"] # weir.yaml:4
    forwarded: none
    proxyProtocol: on # weir.yaml:4
    maxBody: 1KB # weir.yaml:4
  mqtt:
    listen: "127.0.0.1:1883"
    trustedProxies: []
    proxyProtocol: off
    maxPacket: 64KiB
  coap:
    listen: "127.0.0.1:5683"
devices:
  auth: token # weir.yaml:6
  list: # weir.yaml:7
    - {account: "default", device: "quote\" and ${:$}{X}", token: "********"} # weir.yaml:8
    - {account: "acme", device: "b", token: "********"} # weir.yaml:9
  maxOpen: 100000
nats:
  url: "nats://********@a:4222,b,tls://********@c" # weir.yaml:13
  credentials: "********" # weir.yaml:14
  tls:
    ca: ""
    cert: ""
    key: ""
  embedded:
    listen: "127.0.0.1:4222"
    dir: "./weir-data"
    sync: always
    users: # environment WEIR_NATS__EMBEDDED__USERS
      - {user: "u", password: "********"} # environment WEIR_NATS__EMBEDDED__USERS
    tls:
      cert: ""
      key: ""
  up:
    maxAge: 1h30m # weir.yaml:15
    maxBytes: 5GB # environment WEIR_NATS__UP__MAXBYTES
    whenFull: discardOldest
    replicas: 1
control:
  listen: "127.0.0.1:8088"
`, string(l.Effective()))
}

func TestEffectiveLoadsAgain(t *testing.T) {
	for _, one := range []struct {
		name, text string
		environ    []string
	}{
		{"defaults", "", nil},
		{"all but secrets", "quota: {host: {intervalMs: 1, ttlMs: 1, enabled: on, blacklist: [\"a'b\", '\"', 'x # y', '${:$}{Z}']}, log: {intervalMin: 0.001}}\n" +
			"transports: {http: {listen: ':0', forwarded: forwarded, trustedProxies: ['::/0']}, coap: {listen: off}}\n" +
			"devices: {auth: open}\nnats: {embedded: {dir: \"\\0 \\u2028 \\t\"}, up: {maxAge: 1.5s, maxBytes: 70001}}", nil},
		{"placeholders that are text", "", []string{"WEIR_NATS__EMBEDDED__DIR=$${A${B}$", "WEIR_NATS__URL=nats://a, b"}},
	} {
		t.Run(one.name, func(t *testing.T) {
			l := parse(t, one.text, one.environ...)
			require.Equal(t, l.Config, parse(t, string(l.Effective())).Config)
		})
	}
}

func TestAFileNameCannotBreakTheEffectiveConfiguration(t *testing.T) {
	l, err := config.Parse("a\nquota: 5", []byte("quota: {host: {limit: 7}}"), nil)
	require.NoError(t, err)
	require.Equal(t, `"a\nquota: 5":1`, l.At("quota.host.limit"))
	require.Equal(t, l.Config, parse(t, string(l.Effective())).Config)
}

func TestRestart(t *testing.T) {
	for _, one := range []struct {
		name, text             string
		wantChanged, wantStart []string
	}{
		{"nothing", "", nil, nil},
		{"a default written", "quota: {host: {limit: 10000, whitelist: [localhost, 127.0.0.1]}, log: {topSize: 10}}", nil, nil},
		{"limits, lists, report, devices",
			"quota: {host: {limit: 1, intervalMs: 2, ttlMs: 3, cleanPeriodMs: 400, enabled: true, whitelist: a, blacklist: b, profile: standard}, log: {topSize: 1, intervalMin: 1}}\n" +
				"devices: {list: [{device: a, token: b}]}",
			[]string{"quota.host.limit", "quota.host.intervalMs", "quota.host.ttlMs", "quota.host.cleanPeriodMs", "quota.host.enabled",
				"quota.host.whitelist", "quota.host.blacklist", "quota.host.profile", "quota.log.topSize", "quota.log.intervalMin", "devices.list"}, nil},
		{"the table's shape", "quota: {host: {maxHosts: 5, ipv6Prefix: 56, limit: 9}, partitionKey: identity}",
			[]string{"quota.host.limit", "quota.host.ipv6Prefix", "quota.host.maxHosts", "quota.partitionKey"},
			[]string{"quota.host.ipv6Prefix", "quota.host.maxHosts", "quota.partitionKey"}},
		{"everything else", "transports: {mqtt: {listen: off}}\ndevices: {auth: token, maxOpen: 1}\nnats: {url: a, up: {replicas: 3}}\ncontrol: {listen: 'localhost:1'}",
			[]string{"transports.mqtt.listen", "devices.auth", "devices.maxOpen", "nats.url", "nats.up.replicas", "control.listen"},
			[]string{"transports.mqtt.listen", "devices.auth", "devices.maxOpen", "nats.url", "nats.up.replicas", "control.listen"}},
	} {
		t.Run(one.name, func(t *testing.T) {
			after := parse(t, one.text).Config
			require.Equal(t, one.wantChanged, config.Changed(config.Default(), after))
			require.Equal(t, one.wantStart, config.Restart(config.Default(), after))
			require.Equal(t, one.wantStart, config.Restart(after, config.Default()))
		})
	}
	one, two := parse(t, "devices: {auth: token, list: [{device: a, token: x}]}").Config, parse(t, "devices: {auth: token, list: [{device: a, token: y}]}").Config
	require.Equal(t, []string{"devices.list"}, config.Changed(one, two), "secrets are compared as they are")
}
