package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBadConfigurations: every fault is one line of file:line, path and what
// was expected, all of them at once, and exit code 1.
func TestBadConfigurations(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, yaml string
		env        []string
		want       [][]string // of each line, in order
	}{
		{"an unknown key", "quota:\n  host:\n    limitt: 5\n", nil, [][]string{{"weir.yaml:3: ", "quota.host.limitt", "limit"}}},
		{"an unknown section", "quotas: {}\n", nil, [][]string{{"weir.yaml:1: ", "quotas"}}},
		{"a word for a number", "quota: {host: {limit: many}}\n", nil, [][]string{{"weir.yaml:1: ", "quota.host.limit", "many", "expected"}}},
		{"a negative limit", "quota: {host: {limit: -1}}\n", nil, [][]string{{"weir.yaml:1: ", "quota.host.limit", "expected"}}},
		{"no such profile", "quota: {host: {profile: harsh}}\n", nil, [][]string{{"weir.yaml:1: ", "quota.host.profile", "thingsboard, standard"}}},
		{"no host", "quota: {host: {blacklist: '300.1.2.3'}}\n", nil, [][]string{{"weir.yaml:1: ", "quota.host.blacklist[0]", "300.1.2.3"}}},
		{"no address", "control: {listen: here}\n", nil, [][]string{{"weir.yaml:1: ", "control.listen", "expected host:port"}}},
		{"a window that is forgotten", "quota: {host: {intervalMs: 2000, ttlMs: 1000}}\n", nil, [][]string{{"weir.yaml:1: ", "quota.host.ttlMs", "at least 2000"}}},
		{"no YAML", "quota: [\n", nil, [][]string{{"weir.yaml:"}}},
		{"a list", "- quota\n", nil, [][]string{{"weir.yaml:1: ", "expected"}}},
		{"a placeholder without a value", "quota: {host: {limit: '${WEIR_E2E_NOT_SET}'}}\n", nil, [][]string{{"weir.yaml:1: ", "quota.host.limit", "WEIR_E2E_NOT_SET"}}},
		{"an unknown override", "", []string{"WEIR_QUOTA__HOST__LIMITT=5"}, [][]string{{"WEIR_QUOTA__HOST__LIMITT"}}},
		{"a bad override", "", []string{"WEIR_QUOTA__HOST__LIMIT=five"}, [][]string{{"WEIR_QUOTA__HOST__LIMIT:", "quota.host.limit", "five"}}},
		{"a device without a token", "devices: {auth: token, list: [{device: pump}]}\n", nil, [][]string{{"weir.yaml:1: ", "devices.list[0].token"}}},
		{"a token for two", "devices:\n  list:\n    - {device: a, token: hush}\n    - {device: b, token: hush}\n", nil, [][]string{{"weir.yaml:4: ", "devices.list[1].token"}}},
		{"open to strangers", "transports:\n  http:\n    listen: 0.0.0.0:0\n", nil, [][]string{{"weir.yaml:3: ", "transports.http.listen", "loopback", "devices.auth"}}},
		{"NATS open to strangers", "nats:\n  embedded: {listen: 0.0.0.0:0}\n", nil, [][]string{{"weir.yaml:2: ", "nats.embedded.listen", "nats.embedded.users"}}},
		{"a proxy nobody trusts", "transports: {http: {forwarded: xff}}\n", nil, [][]string{{"weir.yaml:1: ", "transports.http.forwarded", "trustedProxies"}}},
		{
			"everything at once",
			"quota:\n  host:\n    limit: many\n    profile: harsh\n  lock: 1\ntransports: {http: {maxBody: 1}}\ncontrol: {listen: here}\n",
			[]string{"WEIR_NATS__UP__REPLICAS=9"},
			[][]string{
				{"weir.yaml:3: ", "quota.host.limit"}, {"weir.yaml:4: ", "quota.host.profile"}, {"weir.yaml:5: ", "quota.lock", "log"},
				{"weir.yaml:6: ", "transports.http.maxBody"}, {"weir.yaml:7: ", "control.listen"}, {"WEIR_NATS__UP__REPLICAS", "nats.up.replicas"},
			},
		},
		{
			"a bad host beside a bad number",
			"quota:\n  host:\n    limit: many\n    blacklist: '300.1.2.3'\n",
			nil, [][]string{{"weir.yaml:3: ", "quota.host.limit"}, {"weir.yaml:4: ", "quota.host.blacklist[0]"}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			lines := failedStart(t, dir, tt.yaml, tt.env...)
			require.Len(t, lines, len(tt.want), "%s", strings.Join(lines, "\n"))
			for i, parts := range tt.want {
				for _, p := range parts {
					require.Contains(t, lines[i], p)
				}
			}
			require.NoDirExists(t, filepath.Join(dir, "weir-data"), "nothing is opened")

			checked := weir(t, dir, tt.env, "check", "weir.yaml")
			require.Equal(t, 1, checked.code)
			require.Empty(t, checked.out)
			require.Len(t, faultLines(t, checked.errs), len(tt.want), "check says what serve says\n%s", checked.errs)
		})
	}
}

// TestFilesThatCannotBeRead are one line each.
func TestFilesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, tt := range []struct{ name, path, want string }{
		{"missing", "none.yaml", "no such file"},
		{"a folder", ".", "is a directory"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, verb := range [][]string{{"serve", "--config", tt.path}, {"check", tt.path}} {
				o := weir(t, dir, nil, verb...)
				require.Equal(t, 1, o.code)
				oneLine(t, faultLines(t, o.errs), "weir: "+tt.path, tt.want)
			}
		})
	}
}

// TestTakenPorts: whichever port is taken, one line names its key and address,
// and nothing is left running or locked.
func TestTakenPorts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ env, key string }{
		{"WEIR_TRANSPORTS__HTTP__LISTEN", "transports.http.listen"},
		{"WEIR_TRANSPORTS__MQTT__LISTEN", "transports.mqtt.listen"},
		{"WEIR_TRANSPORTS__COAP__LISTEN", "transports.coap.listen"},
		{"WEIR_CONTROL__LISTEN", "control.listen"},
		{"WEIR_NATS__EMBEDDED__LISTEN", "nats.embedded.listen"},
	} {
		t.Run(tt.key, func(t *testing.T) {
			dir, addr := t.TempDir(), taken(t)
			oneLine(t, failedStart(t, dir, ports, tt.env+"="+addr), tt.key, addr, "in use")
			startIn(t, dir, ports)
		})
	}
}

// TestStoreFaults: what keeps the store from opening is one line that names
// the key and the place.
func TestStoreFaults(t *testing.T) {
	t.Parallel()
	t.Run("NATS is away", func(t *testing.T) {
		t.Parallel()
		addr := free(t)
		lines := failedStart(t, t.TempDir(), ports, "WEIR_NATS__URL=nats://weir:hush@"+addr)
		oneLine(t, lines, "nats.url", addr)
		require.NotContains(t, lines[0], "hush")
	})
	t.Run("no NATS there", func(t *testing.T) {
		t.Parallel()
		addr := taken(t)
		oneLine(t, failedStart(t, t.TempDir(), ports, "WEIR_NATS__URL=nats://"+addr), "nats.url", addr)
	})
	t.Run("the folder is in use", func(t *testing.T) {
		g := start(t, "")
		dir := filepath.Join(g.Dir, "weir-data")
		oneLine(t, failedStart(t, t.TempDir(), ports, "WEIR_NATS__EMBEDDED__DIR="+dir), "nats.embedded.dir", dir, "in use by another weir")
		require.Equal(t, 200, post(t, g, "pump").StatusCode, "the other one does not notice")
	})
	t.Run("the folder is a newer weir's", func(t *testing.T) {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "format"), []byte("9\n"), 0o600))
		oneLine(t, failedStart(t, t.TempDir(), ports, "WEIR_NATS__EMBEDDED__DIR="+dir), "nats.embedded.dir", dir, "format 9 is newer")
	})
	t.Run("the folder is a file", func(t *testing.T) {
		dir := file(t, "taken", "")
		oneLine(t, failedStart(t, t.TempDir(), ports, "WEIR_NATS__EMBEDDED__DIR="+dir), "nats.embedded.dir", "not a directory")
	})
	t.Run("the folder cannot be written", func(t *testing.T) {
		dir := tmpfs(t, "1m")
		out, code := run(t, tool(t, "mount", "mount"), "-o", "remount,ro", dir)
		require.Zero(t, code, out)
		oneLine(t, failedStart(t, t.TempDir(), ports, "WEIR_NATS__EMBEDDED__DIR="+dir+"/data"), "nats.embedded.dir", "read-only file system")
	})
	t.Run("the disk is full", func(t *testing.T) {
		dir := tmpfs(t, "64k")
		oneLine(t, failedStart(t, t.TempDir(), ports, "WEIR_NATS__EMBEDDED__DIR="+dir), "nats.embedded.dir", dir, "the disk is full")
	})
}

// TestUsage: a wrong command line is one line and exit code 2.
func TestUsage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"an unknown flag", []string{"--speed"}, "--speed"},
		{"an unknown flag of serve", []string{"serve", "--speed"}, "--speed"},
		{"an unknown verb", []string{"swerve"}, "swerve"},
		{"too much for serve", []string{"serve", "weir.yaml"}, "weir.yaml"},
		{"too much for version", []string{"version", "today"}, "today"},
		{"too little for check", []string{"check"}, "accepts 1 arg"},
		{"too much for check", []string{"check", "a", "b"}, "accepts 1 arg"},
		{"a flag without its value", []string{"serve", "--config"}, "--config"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := weir(t, dir, nil, tt.args...)
			require.Equal(t, 2, o.code, o.errs)
			require.Empty(t, o.out)
			oneLine(t, faultLines(t, o.errs), tt.want)
		})
	}
}

// TestCheck prints what a file comes to, and no secret.
func TestCheck(t *testing.T) {
	t.Parallel()
	path := file(t, "weir.yaml", `
quota: {host: {limit: "${WEIR_E2E_LIMIT:42}", enabled: "true"}}
devices: {auth: token, list: [{device: pump, token: hush-pump}]}
nats: {embedded: {users: [{user: services, password: hush-nats}]}}
`)
	o := weir(t, t.TempDir(), []string{"WEIR_TRANSPORTS__HTTP__MAXBODY=1KiB"}, "check", path)
	require.Zero(t, o.code, o.errs)
	require.Empty(t, o.errs)
	require.Regexp(t, `(?m)^    limit: 42 # .*weir\.yaml:2$`, o.out)
	require.Regexp(t, `(?m)^    maxBody: 1KiB # environment WEIR_TRANSPORTS__HTTP__MAXBODY$`, o.out)
	require.Contains(t, o.out, "pump")
	require.Contains(t, o.out, "services")
	require.NotContains(t, o.out, "hush")

	o = weir(t, t.TempDir(), []string{"WEIR_NATS__URL=nats://weir:hush@nats.example:4222"}, "check", file(t, "empty.yaml", ""))
	require.Zero(t, o.code, o.errs)
	require.Contains(t, o.out, "nats.example:4222")
	require.NotContains(t, o.out, "hush")

	o = weir(t, "..", nil, "check", "weir.yaml")
	require.Zero(t, o.code, "the sample: %s", o.errs)
	require.Empty(t, o.errs)
}

// TestVersion is one line.
func TestVersion(t *testing.T) {
	t.Parallel()
	o := weir(t, t.TempDir(), nil, "version")
	require.Zero(t, o.code)
	require.Regexp(t, `^weir \S+ \w+/\w+ go1\.\d+\S*\n$`, o.out)
	require.Empty(t, o.errs)
}
