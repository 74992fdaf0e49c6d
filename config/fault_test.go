package config_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/config"
)

const (
	addressHint = "; expected host:port, such as 127.0.0.1:8080 or [::1]:8080, with a port from 0 to 65535"
	sizeHint    = " (bytes, or with KB, MB, GB, KiB, MiB, GiB)"
	urlHint     = "; expected nats://host:port (or tls, ws, wss), several separated by commas, or nothing"
	proxiesHint = "; expected a list of IP addresses and CIDR prefixes, such as [10.0.0.0/8]"
	openHint    = " is not loopback, and anyone there would be a device; expected devices.auth to be set: token with devices.list, or open to let anyone in"
)

func TestTextsThatAreNoConfiguration(t *testing.T) {
	for _, one := range []struct{ name, text, want string }{
		{"a list", "- a", "weir.yaml:1: a list stands here; expected keys: quota, transports, devices, nats, control"},
		{"a text", "\nhello", "weir.yaml:2: a single value stands here; expected keys: quota, transports, devices, nats, control"},
		{"second document", "quota: {}\n---\nquota: {}\n", "weir.yaml:3: a second YAML document starts here; expected one in a file"},
		{"tab", "quota:\n\thost: {}", "weir.yaml:2: a tab indents the line; expected blanks"},
		{"tab after blanks", "quota:\n  host:\n    limit: 5\n  \tttlMs: 4", "weir.yaml:4: a tab indents the line; expected blanks"},
		{"byte order mark", "\ufeffquota: {}", "weir.yaml:1: the file starts with a byte order mark; expected UTF-8 without one"},
		{"UTF-16", "\xff\xfeq\x00", "weir.yaml:1: the file is UTF-16; expected UTF-8"},
		{"invalid UTF-8", "# ä\nquota: {host: {whitelist: \"\xe4\"}}", "weir.yaml:2: a character is not UTF-8; expected UTF-8"},
		{"control character", "quota:\n  host: {whitelist: \"\x01\"}", "weir.yaml:2: is not YAML: control characters are not allowed; expected YAML"},
		{"too large", strings.Repeat(" ", config.MaxFile+1), "weir.yaml: is larger than 1 MiB; expected a configuration"},
		{"open brace", "quota:\n  host: {limit: 5\n", "weir.yaml:2: is not YAML: did not find expected ',' or '}'; expected YAML"},
		{"open quote", "quota:\n  host:\n    whitelist: \"abc\n", "weir.yaml:3: is not YAML: found unexpected end of stream; expected YAML"},
		{"indentation", "quota:\n  host:\n    limit: 5\n   ttlMs: 4\n  log: {}\n", "weir.yaml:4: is not YAML: did not find expected key; expected YAML"},
		{"two colons", "quota:\n  host: limit: 5", "weir.yaml:2: is not YAML: mapping values are not allowed in this context; expected YAML"},
		{"two colons on the first line", "a: b: c", "weir.yaml:1: is not YAML: mapping values are not allowed in this context; expected YAML"},
		{"depth", strings.Repeat("[", 20000), "weir.yaml: is not YAML: exceeded max depth of 10000; expected YAML"},
		{"tag", "quota: {}\nnats: !x!y {}", "weir.yaml:2: is not YAML: found undefined tag handle; expected YAML"},
		{"no colon", "quota:\n  host\n  log: {}", "weir.yaml:3: is not YAML: mapping values are not allowed in this context; expected YAML"},
		{"alias without anchor", "devices:\n  list:\n    - {device: a, token: *secret}", "weir.yaml:3: an alias has no anchor; expected a text that starts with * in quotes"},
		{"key that is a list", "quota:\n  ? [a]\n  : b", `weir.yaml:2: quota."": a list stands for a key; expected a name`},
	} {
		t.Run(one.name, func(t *testing.T) { require.Equal(t, []string{one.want}, refuse(t, one.text)) })
	}
}

func TestKeys(t *testing.T) {
	for _, one := range []struct {
		name, text string
		want       []string
	}{
		{"close", "quota:\n  host:\n    limt: 5", []string{"weir.yaml:3: quota.host.limt: unknown key; did you mean limit?"}},
		{"case", "quota:\n  host: {ttlms: 5}", []string{"weir.yaml:2: quota.host.ttlms: unknown key; did you mean ttlMs?"}},
		{"far", "quota: {colour: red}", []string{"weir.yaml:1: quota.colour: unknown key; expected host, log, profile, policies or partitionKey"}},
		{"only one is known", "control: {adress: x}", []string{"weir.yaml:1: control.adress: unknown key; expected listen"}},
		{"top", "qouta: {}", []string{"weir.yaml:1: qouta: unknown key; did you mean quota?"}},
		{"a later issue's", "control: {token: x}", []string{"weir.yaml:1: control.token: unknown key; expected listen"}},
		{"twice", "quota:\n  log: {topSize: 1}\n  host: {}\n  log: {topSize: 2}", []string{
			"weir.yaml:4: quota.log: duplicate key; line 2 has it too, expected it once"}},
		{"unknown twice", "a: 1\na: 2", []string{
			"weir.yaml:1: a: unknown key; expected quota, transports, devices, nats or control",
			"weir.yaml:2: a: duplicate key; line 1 has it too, expected it once"}},
		{"in an item", "devices:\n  auth: token\n  list:\n    - device: a\n      token: b\n      psk: c", []string{
			"weir.yaml:6: devices.list[0].psk: unknown key; expected account, device or token"}},
		{"odd", "quota:\n  a b: 1\n  '': 2\n  " + strings.Repeat("x", 99) + ": 3", []string{
			`weir.yaml:2: quota."a…": unknown key; expected host, log, profile, policies or partitionKey`,
			`weir.yaml:3: quota."": unknown key; expected host, log, profile, policies or partitionKey`,
			`weir.yaml:4: quota."` + strings.Repeat("x", 64) + `"…: unknown key; expected host, log, profile, policies or partitionKey`}},
		{"a section is a text", "quota:\n  host: 5", []string{
			"weir.yaml:2: quota.host: a single value stands here; expected keys: limit, intervalMs, ttlMs, cleanPeriodMs, enabled, whitelist, blacklist, ipv6Prefix, maxHosts, profile"}},
		{"a section is a list", "transports:\n  coap: [a]", []string{"weir.yaml:2: transports.coap: a list stands here; expected keys: listen"}},
		{"merged unknown", "quota:\n  host: &h {limit: 3}\n  log: {<<: *h}", []string{
			"weir.yaml:2: quota.log.limit: unknown key; expected topSize or intervalMin"}},
		{"merged text", "quota:\n  <<: 5", []string{"weir.yaml:2: quota.<<: a single value is merged; expected a section or a list of sections"}},
		{"merged lists", "quota:\n  <<: [[{}]]", []string{"weir.yaml:2: quota.<<: a list is merged within a list; expected sections"}},
	} {
		t.Run(one.name, func(t *testing.T) { require.Equal(t, one.want, refuse(t, one.text)) })
	}
}

// at puts a value behind a path of keys, the value on the path's own line.
func at(path, value string) string {
	var b strings.Builder
	keys := strings.Split(path, ".")
	for i, key := range keys {
		fmt.Fprintf(&b, "%s%s:", strings.Repeat("  ", i), key)
		if i < len(keys)-1 {
			b.WriteByte('\n')
		}
	}
	return b.String() + " " + value + "\n"
}

func TestValues(t *testing.T) {
	const host, http, embedded, up = "quota.host.", "transports.http.", "nats.embedded.", "nats.up."
	for _, one := range []struct{ path, value, want string }{
		{host + "limit", "abc", `"abc" is not a whole number; expected a whole number from 0 to 4294967295`},
		{host + "limit", "1.5", `"1.5" is not a whole number; expected a whole number from 0 to 4294967295`},
		{host + "limit", "--1", `"--1" is not a whole number; expected a whole number from 0 to 4294967295`},
		{host + "limit", "-1", `"-1" is out of range; expected a whole number from 0 to 4294967295`},
		{host + "limit", "4294967296", `"4294967296" is out of range; expected a whole number from 0 to 4294967295`},
		{host + "limit", "99999999999999999999", `"99999999999999999999" is out of range; expected a whole number from 0 to 4294967295`},
		{host + "limit", "", `an empty value is not a whole number; expected a whole number from 0 to 4294967295`},
		{host + "limit", "~", `an empty value is not a whole number; expected a whole number from 0 to 4294967295`},
		{host + "limit", "[5]", `a list stands here; expected a whole number from 0 to 4294967295`},
		{host + "limit", "{a: 5}", `a section stands here; expected a whole number from 0 to 4294967295`},
		{host + "limit", "!ours 5", `a YAML tag stands here; expected a whole number from 0 to 4294967295, without a tag`},
		{host + "limit", "!!binary NQ==", `a YAML tag stands here; expected a whole number from 0 to 4294967295, without a tag`},
		{host + "limit", "'${NO_SUCH}'", `the environment has no NO_SUCH; expected it to be set, or a default: ${NO_SUCH:default}`},
		{host + "limit", "'${NO_SUCH'", `a placeholder is not closed; expected ${NAME:default}`},
		{host + "limit", "'${a b}'", `a placeholder has no proper name; expected ${NAME:default}`},
		{host + "limit", "'${}'", `a placeholder has no proper name; expected ${NAME:default}`},
		{host + "limit", "'${A:${B:5}}'", `a placeholder stands within another; expected ${NAME:default} with a plain default`},
		{host + "limit", "'${NO_SUCH:ten}'", `"ten" is not a whole number; expected a whole number from 0 to 4294967295`},
		{host + "limit", "'${INVALID}'", `a placeholder's value is not UTF-8; expected UTF-8`},
		{host + "intervalMs", "0", `"0" is out of range; expected a whole number from 1 to 2592000000 (milliseconds)`},
		{host + "intervalMs", "60s", `"60s" is not a whole number; expected a whole number from 1 to 2592000000 (milliseconds)`},
		{host + "cleanPeriodMs", "99", `"99" is out of range; expected a whole number from 100 to 2592000000 (milliseconds)`},
		{host + "enabled", "maybe", `"maybe" is neither; expected true or false`},
		{host + "enabled", "1", `"1" is neither; expected true or false`},
		{host + "whitelist", "{a: b}", `a section stands here; expected a list of hosts, or a text of them separated by commas`},
		{host + "ipv6Prefix", "65", `"65" is out of range; expected a whole number from 1 to 64`},
		{host + "ipv6Prefix", "0", `"0" is out of range; expected a whole number from 1 to 64`},
		{host + "maxHosts", "0", `"0" is out of range; expected a whole number from 1 to 100000000`},
		{host + "profile", "Standard", `"Standard" is not known here; expected thingsboard, standard or bandwidth`},
		{host + "profile", strings.Repeat("x", 70), `"` + strings.Repeat("x", 64) + `"… is not known here; expected thingsboard, standard or bandwidth`},
		{"quota.log.topSize", "0", `"0" is out of range; expected a whole number from 1 to 1000`},
		{"quota.log.intervalMin", "0", `"0" is out of range; expected a number from 0.001 to 10080`},
		{"quota.log.intervalMin", ".nan", `".nan" is not a number; expected a number from 0.001 to 10080`},
		{"quota.log.intervalMin", "NaN", `"NaN" is out of range; expected a number from 0.001 to 10080`},
		{"quota.log.intervalMin", "two", `"two" is not a number; expected a number from 0.001 to 10080`},
		{"quota.partitionKey", "ip", `"ip" is not known here; expected hash or identity`},
		{http + "listen", "8080", `"8080" is not host:port` + addressHint + ", or off"},
		{http + "listen", "localhost:http", `"localhost:http" has no number for a port` + addressHint + ", or off"},
		{http + "listen", "localhost:65536", `"localhost:65536" has a port out of range` + addressHint + ", or off"},
		{http + "listen", "'localhost:'", `"localhost:" has no number for a port` + addressHint + ", or off"},
		{http + "listen", "'::1:80'", `"::1:80" is not host:port` + addressHint + ", or off"},
		{http + "listen", "256.0.0.1:80", `"256.0.0.1:80" has a host that is neither an IP address nor a name` + addressHint + ", or off"},
		{http + "listen", "'a b:80'", `"a b:80" has a host that is neither an IP address nor a name` + addressHint + ", or off"},
		{http + "listen", "'*:80'", `"*:80" has a host that is neither an IP address nor a name` + addressHint + ", or off"},
		{http + "listen", "'a..b:80'", `"a..b:80" has a host that is neither an IP address nor a name` + addressHint + ", or off"},
		{"control.listen", "off", `"off" is not host:port` + addressHint},
		{"control.listen", "''", `an empty value is not host:port` + addressHint},
		{embedded + "listen", "nowhere", `"nowhere" is not host:port` + addressHint},
		{http + "forwarded", "both", `"both" is not known here; expected none, xff or forwarded`},
		{http + "proxyProtocol", "v2", `"v2" is neither; expected on or off`},
		{http + "maxBody", "64 kibi", `"64 kibi" is not a size; expected a size from 64 to 960KiB` + sizeHint},
		{http + "maxBody", "1.5KiB", `"1.5KiB" is not a size; expected a size from 64 to 960KiB` + sizeHint},
		{http + "maxBody", "KiB", `"KiB" is not a size; expected a size from 64 to 960KiB` + sizeHint},
		{http + "maxBody", "1MiB", `"1MiB" is out of range; expected a size from 64 to 960KiB` + sizeHint},
		{http + "maxBody", "-1KiB", `"-1KiB" is out of range; expected a size from 64 to 960KiB` + sizeHint},
		{"transports.mqtt.maxPacket", "63", `"63" is out of range; expected a size from 64 to 960KiB` + sizeHint},
		{"devices.auth", "none", `"none" is not known here; expected open or token`},
		{"devices.auth", "", `an empty value is not known here; expected open or token`},
		{"devices.maxOpen", "0", `"0" is out of range; expected a whole number from 1 to 10000000`},
		{"devices.list", "{a: b}", `a section; expected a list of {account, device, token}`},
		{"devices.list", "'[{'", `the text is not YAML or JSON; expected a list of {account, device, token}`},
		{"devices.list", "secret", `a single value; expected a list of {account, device, token}`},
		{"nats.url", "http://a", `the value has a scheme that is not NATS's` + urlHint},
		{"nats.url", "nats://", `the value names no host` + urlHint},
		{"nats.url", "nats://a,,b", `the value names no host` + urlHint},
		{"nats.url", "nats://user:secret/x@host", `the value is not a URL (a password's special characters are written as %XX)` + urlHint},
		{"nats.url", "nats://user:12/secret@host", `the value has more than a host and a port` + urlHint},
		{"nats.url", "nats://a:1?x=y", `the value has more than a host and a port` + urlHint},
		{"nats.url", "nats://a:70000", `the value has a port out of range` + urlHint},
		{embedded + "dir", "''", `is empty; expected a folder, such as ./weir-data`},
		{embedded + "sync", "never", `"never" is not known here; expected always or interval`},
		{embedded + "users", "5", `a single value; expected a list of {user, password}`},
		{up + "maxAge", "0", `"0" is out of range; expected a duration from 1s to 87600h (such as 90s, 1h30m or 7d)`},
		{up + "maxAge", "forever", `"forever" is not a duration; expected a duration from 1s to 87600h (such as 90s, 1h30m or 7d)`},
		{up + "maxAge", "-7d", `"-7d" is not a duration; expected a duration from 1s to 87600h (such as 90s, 1h30m or 7d)`},
		{up + "maxAge", "1d-1h", `"1d-1h" is not a duration; expected a duration from 1s to 87600h (such as 90s, 1h30m or 7d)`},
		{up + "maxAge", "1e300d", `"1e300d" is not a duration; expected a duration from 1s to 87600h (such as 90s, 1h30m or 7d)`},
		{up + "maxAge", "3651d", `"3651d" is out of range; expected a duration from 1s to 87600h (such as 90s, 1h30m or 7d)`},
		{up + "maxBytes", "9999999TiB", `"9999999TiB" is out of range; expected a size from 64KiB to 1024TiB` + sizeHint},
		{up + "maxBytes", "99999999999999999999", `"99999999999999999999" is out of range; expected a size from 64KiB to 1024TiB` + sizeHint},
		{up + "whenFull", "panic", `"panic" is not known here; expected discardOldest or refuse`},
		{up + "replicas", "6", `"6" is out of range; expected a whole number from 1 to 5`},
	} {
		t.Run(one.path+"="+one.value, func(t *testing.T) {
			line := 1 + strings.Count(one.path, ".")
			want := fmt.Sprintf("weir.yaml:%d: %s: %s", line, one.path, one.want)
			require.Equal(t, []string{want}, refuse(t, at(one.path, one.value), "INVALID=\xff"))
		})
	}
}

func TestRules(t *testing.T) {
	for _, one := range []struct {
		name, text string
		want       []string
	}{
		{"ttl below interval", "quota:\n  host:\n    ttlMs: 500\n    intervalMs: 1000", []string{
			"weir.yaml:3: quota.host.ttlMs: 500 is less than intervalMs, so that hosts would be forgotten within their window; expected at least 1000"}},
		{"default ttl below interval", "quota:\n  host:\n    intervalMs: 60001", []string{
			"weir.yaml:3: quota.host.ttlMs: 60000 is less than intervalMs, so that hosts would be forgotten within their window; expected at least 60001"}},
		{"ttl is not compared with a bad interval", "quota: {host: {ttlMs: 5, intervalMs: x}}", []string{
			`weir.yaml:1: quota.host.intervalMs: "x" is not a whole number; expected a whole number from 1 to 2592000000 (milliseconds)`}},
		{"headers of nobody", "transports:\n  http:\n    forwarded: xff\n    proxyProtocol: on\n  mqtt:\n    proxyProtocol: true", []string{
			"weir.yaml:3: transports.http.forwarded: no proxy is trusted, so that it would never be believed; expected transports.http.trustedProxies to name the proxies",
			"weir.yaml:4: transports.http.proxyProtocol: no proxy is trusted, so that it would never be believed; expected transports.http.trustedProxies to name the proxies",
			"weir.yaml:6: transports.mqtt.proxyProtocol: no proxy is trusted, so that it would never be believed; expected transports.mqtt.trustedProxies to name the proxies"}},
		{"proxies that are none", "transports:\n  http:\n    forwarded: xff\n    trustedProxies:\n      - 10.0.0.1\n      - proxy.example", []string{
			`weir.yaml:6: transports.http.trustedProxies[1]: "proxy.example" is neither an IP address nor a CIDR prefix` + proxiesHint}},
		{"an item is a list", "transports:\n  http:\n    forwarded: xff\n    trustedProxies:\n      - [10.0.0.1]", []string{
			`weir.yaml:5: transports.http.trustedProxies[0]: a list stands here` + proxiesHint}},
		{"open to the world", "transports:\n  http: {listen: ':8080'}\n  mqtt: {listen: 'gateway.example:1883'}\n  coap: {listen: '[2001:db8::1]:5683'}", []string{
			`weir.yaml:2: transports.http.listen: ":8080"` + openHint,
			`weir.yaml:3: transports.mqtt.listen: "gateway.example:1883"` + openHint,
			`weir.yaml:4: transports.coap.listen: "[2001:db8::1]:5683"` + openHint}},
		{"open by a mistake", "transports: {http: {listen: ':8080'}}\ndevices: {auth: opne}", []string{
			`weir.yaml:2: devices.auth: "opne" is not known here; expected open or token`}},
		{"devices", "devices:\n  auth: token\n  list:\n    - {device: a, token: s3cret}\n    - {device: b, token: s3cret}\n    - {token: x, account: ''}\n    - {device: c, token: ''}\n    - text\n    - {device: " + strings.Repeat("n", 513) + ", token: [s3cret]}\n    - {device: d, token:s3cret}", []string{
			"weir.yaml:5: devices.list[1].token: is the token of devices.list[0] too; expected one of its own",
			"weir.yaml:6: devices.list[2].account: is empty or missing; expected a name of 1 to 512 bytes",
			"weir.yaml:6: devices.list[2].device: is empty or missing; expected a name of 1 to 512 bytes",
			"weir.yaml:7: devices.list[3].token: is empty or missing; expected the device's token",
			"weir.yaml:8: devices.list[4]: a single value stands here; expected keys: account, device, token",
			"weir.yaml:9: devices.list[5].token: a list stands here; expected a token",
			`weir.yaml:9: devices.list[5].device: "` + strings.Repeat("n", 64) + `"… is too long; expected a name of 1 to 512 bytes`,
			`weir.yaml:10: devices.list[6]."token…": unknown key; expected account, device or token`,
			"weir.yaml:10: devices.list[6].token: is empty or missing; expected the device's token"}},
		{"copies of the embedded", "nats: {up: {replicas: 3}}", []string{
			"weir.yaml:1: nats.up.replicas: 3 copies need a cluster; expected 1 with the embedded NATS, or nats.url"}},
		{"certificate without key", "nats:\n  url: nats://a\n  tls:\n    cert: c.pem", []string{
			"weir.yaml:4: nats.tls.key: is empty while cert is set; expected the certificate's key file"}},
		{"key without certificate", "nats:\n  embedded:\n    tls: {key: k.pem}", []string{
			"weir.yaml:3: nats.embedded.tls.cert: is empty while key is set; expected the key's certificate file"}},
		{"embedded off loopback", "nats:\n  embedded:\n    listen: 0.0.0.0:4222", []string{
			`weir.yaml:3: nats.embedded.listen: "0.0.0.0:4222" is not loopback, and anyone there could read every device's data; expected nats.embedded.users and nats.embedded.tls (cert and key) to be set too`}},
		{"embedded off loopback without users", "nats:\n  embedded:\n    listen: ':4222'\n    tls: {cert: c, key: k}", []string{
			`weir.yaml:3: nats.embedded.listen: ":4222" is not loopback, and anyone there could read every device's data; expected nats.embedded.users to be set too`}},
		{"embedded off loopback without TLS", "nats:\n  embedded:\n    listen: ':4222'\n    users: [{user: a, password: b}]", []string{
			`weir.yaml:3: nats.embedded.listen: ":4222" is not loopback, and anyone there could read every device's data; expected nats.embedded.tls (cert and key) to be set too`}},
		{"users", "nats:\n  embedded:\n    users:\n      - {user: a, password: b}\n      - {user: a}\n      - {password: x}\n      - []", []string{
			"weir.yaml:5: nats.embedded.users[1].user: is the name of nats.embedded.users[0] too; expected one of its own",
			"weir.yaml:5: nats.embedded.users[1].password: is empty or missing; expected the user's password",
			"weir.yaml:6: nats.embedded.users[2].user: is empty or missing; expected a name of 1 to 512 bytes",
			"weir.yaml:7: nats.embedded.users[3]: a list stands here; expected keys: user, password"}},
	} {
		t.Run(one.name, func(t *testing.T) {
			got := refuse(t, one.text)
			require.Equal(t, one.want, got)
			require.NotContains(t, strings.Join(got, "\n"), "s3cret")
		})
	}
}

func TestOverridesThatCannotBe(t *testing.T) {
	for _, one := range []struct {
		name    string
		environ []string
		want    []string
	}{
		{"close", []string{"WEIR_QUOTA__HOST__LIMT=5"}, []string{
			"environment WEIR_QUOTA__HOST__LIMT: means no key; did you mean WEIR_QUOTA__HOST__LIMIT?"}},
		{"far", []string{"WEIR_COLOUR__RED=5"}, []string{
			"environment WEIR_COLOUR__RED: means no key; expected WEIR_ and a key's path with __ between levels, such as WEIR_QUOTA__HOST__LIMIT"}},
		{"section", []string{"WEIR_QUOTA__HOST=5"}, []string{
			"environment WEIR_QUOTA__HOST: is a section; expected one of its keys, such as WEIR_QUOTA__HOST__BLACKLIST"}},
		{"odd", []string{"WEIR_A__\nB=5"}, []string{
			`environment "WEIR_A__\nB": means no key; expected WEIR_ and a key's path with __ between levels, such as WEIR_QUOTA__HOST__LIMIT`}},
		{"twice", []string{"WEIR_QUOTA__HOST__LIMIT=5", "WEIR_quota__host__limit=6"}, []string{
			"environment WEIR_quota__host__limit: quota.host.limit: the environment has WEIR_QUOTA__HOST__LIMIT too; expected one of them"}},
		{"value", []string{"WEIR_QUOTA__HOST__LIMIT="}, []string{
			"environment WEIR_QUOTA__HOST__LIMIT: quota.host.limit: an empty value is not a whole number; expected a whole number from 0 to 4294967295"}},
		{"UTF-8", []string{"WEIR_NATS__EMBEDDED__DIR=\xff"}, []string{
			"environment WEIR_NATS__EMBEDDED__DIR: nats.embedded.dir: the text is not UTF-8; expected UTF-8"}},
		{"length", []string{"WEIR_NATS__EMBEDDED__DIR=" + strings.Repeat("x", config.MaxFile+1)}, []string{
			"environment WEIR_NATS__EMBEDDED__DIR: nats.embedded.dir: the text is longer than 1 MiB; expected less"}},
		{"list", []string{"WEIR_DEVICES__LIST=[{device: a, token: b, x: c}]", "WEIR_DEVICES__AUTH=token"}, []string{
			"environment WEIR_DEVICES__LIST: devices.list[0].x: unknown key; expected account, device or token"}},
		{"rule", []string{"WEIR_TRANSPORTS__HTTP__LISTEN=:80"}, []string{
			`environment WEIR_TRANSPORTS__HTTP__LISTEN: transports.http.listen: ":80"` + openHint}},
	} {
		t.Run(one.name, func(t *testing.T) { require.Equal(t, one.want, refuse(t, "", one.environ...)) })
	}
}

func TestAllFaultsAtOnceInOrder(t *testing.T) {
	require.Equal(t, []string{
		`weir.yaml:2: nats.up.replicas: "9" is out of range; expected a whole number from 1 to 5`,
		`weir.yaml:4: quota.log.topSize: "x" is not a whole number; expected a whole number from 1 to 1000`,
		`weir.yaml:6: quota.host.limt: unknown key; did you mean limit?`,
		`weir.yaml:10: quota.host.ttlMs: 5 is less than intervalMs, so that hosts would be forgotten within their window; expected at least 60000`,
		`environment WEIR_A__B: means no key; expected WEIR_ and a key's path with __ between levels, such as WEIR_QUOTA__HOST__LIMIT`,
		`environment WEIR_QUOTA__HOST__ENABLED: quota.host.enabled: "x" is neither; expected true or false`,
	}, refuse(t, `
nats: {up: {replicas: 9}}
quota:
  log: {topSize: x}
  host:
    limt: 5



    ttlMs: 5
`, "WEIR_QUOTA__HOST__ENABLED=x", "WEIR_A__B=x"))
}

func TestFaultsOfManyRooms(t *testing.T) {
	require.NoError(t, config.NewFaultsError(nil))
	l := parse(t, "quota:\n  host: {whitelist: [a, b], limit: 1}")
	faults := []config.Fault{
		l.Fault("control.listen", "is in use"), l.Fault("quota.host.whitelist[1]", "is odd"), {Place: "weir.yaml", Problem: "is odd"},
	}
	err := config.NewFaultsError(faults)
	require.EqualError(t, err, "weir.yaml: is odd\nweir.yaml:2: quota.host.whitelist[1]: is odd\nbuilt-in default: control.listen: is in use")
	require.Equal(t, "is in use", faults[0].Problem, "the caller's order is left alone")
	var fe *config.FaultsError
	require.True(t, errors.As(err, &fe))
	require.Len(t, fe.Faults, 3)
}

func TestFaultsAreBounded(t *testing.T) {
	var b strings.Builder
	for i := range 250 {
		fmt.Fprintf(&b, "key%d: x\n", i)
	}
	lines := refuse(t, b.String())
	require.Len(t, lines, 101)
	require.Equal(t, "… and 150 more", lines[100])
}

func TestAliasBombs(t *testing.T) {
	// Ten levels, each merging the one before ten times, are 10^10 sections.
	var b strings.Builder
	b.WriteString("quota:\n  a0: &a0 {limit: 1}\n")
	for i := 1; i <= 10; i++ {
		fmt.Fprintf(&b, "  a%d: &a%d {<<: [%s]}\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	b.WriteString("  host: {<<: *a10}\n")
	require.Contains(t, refuse(t, b.String()), "weir.yaml:2: aliases make the file larger than 1048576 values; expected fewer")

	require.Contains(t, refuse(t, "quota:\n  host: &h {<<: [*h, *h], limit: 3}"),
		"weir.yaml:2: merge keys are nested deeper than 16; expected fewer")

	list := "devices:\n  auth: token\n  list: [&d {device: a, token: b}" + strings.Repeat(", *d", 60_000) + "]"
	require.Len(t, refuse(t, list), 101)

	// 12,000 placeholders of 1 KiB are 12 MiB.
	many := "quota: {host: {whitelist: [" + strings.TrimSuffix(strings.Repeat("'${X}',", 12_000), ",") + "]}}"
	require.Contains(t, refuse(t, many, "X="+strings.Repeat("x", 1024))[0], "the placeholders make the file longer than 8 MiB")
	long := "quota: {host: {whitelist: '" + strings.Repeat("${X}", 2000) + "'}}"
	require.Equal(t, []string{"weir.yaml:1: quota.host.whitelist: the placeholders make it longer than 1 MiB; expected less"},
		refuse(t, long, "X="+strings.Repeat("x", 1024)))
}
