package config_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/config"
)

const twoPolicies = `quota:
  profile: standard
  policies:
    - name: device_second
      level: device
      class: messages
      buckets: [{quota: 4, window: 1s}, {quota: null, window: 1m}]
    - {name: tenants, level: custom, key: "header:X-Tenant", kind: sliding, mode: shadow, profile: bandwidth,
       enforceFrom: 2027-01-01, buckets: [{quota: "${N:1}", window: 1s, sample: 10s}]}
`

func TestPoliciesAreRead(t *testing.T) {
	l := parse(t, twoPolicies)
	require.Equal(t, "standard", l.Config.Quota.Profile)
	require.Equal(t, []config.Policy{{
		Name: "device_second", Level: "device", Class: "messages", Kind: "fixed", Mode: "enforce", Profile: "standard",
		Buckets: []config.Bucket{{Quota: 4, Window: time.Second}, {Quota: config.Unlimited, Window: time.Minute}},
	}, {
		Name: "tenants", Level: "custom", Key: "header:X-Tenant", Class: "total", Kind: "sliding", Mode: "shadow",
		Buckets:     []config.Bucket{{Quota: 1, Window: time.Second, Sample: 10 * time.Second}},
		EnforceFrom: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), Profile: "bandwidth",
	}}, l.Config.Quota.Policies)
	require.Equal(t, "weir.yaml:7", l.At("quota.policies[0].buckets[1].window"))
	require.Equal(t, "weir.yaml:8", l.At("quota.policies[1].kind"))
	require.Equal(t, "weir.yaml:9", l.At("quota.policies[1].buckets[0].sample"))
}

func TestPoliciesAreShownAsTheyLoadAgain(t *testing.T) {
	l := parse(t, twoPolicies)
	text := string(l.Effective())
	require.Contains(t, text, `
  profile: standard # weir.yaml:2
  policies: # weir.yaml:3
    - {name: "device_second", level: device, class: messages, kind: fixed, buckets: [{quota: 4, window: 1s}, {quota: null, window: 1m}], mode: enforce, profile: standard} # weir.yaml:4
    - {name: "tenants", level: custom, key: "header:X-Tenant", class: total, kind: sliding, buckets: [{quota: 1, window: 1s, sample: 10s}], mode: shadow, enforceFrom: 2027-01-01, profile: bandwidth} # weir.yaml:8
`)
	require.Equal(t, l.Config, parse(t, text).Config)
	require.Empty(t, config.Restart(config.Default(), l.Config), "a reload does it")
	require.Equal(t, []string{"quota.profile", "quota.policies"}, config.Changed(config.Default(), l.Config))
}

func TestAQuotaMayBeWrittenInManyWays(t *testing.T) {
	for _, tt := range []struct {
		name, buckets string
		want          []config.Bucket
	}{
		{"a number", "buckets: [{quota: 5, window: 1m}]", []config.Bucket{{Quota: 5, Window: time.Minute}}},
		{"quoted", `buckets: [{quota: "5", window: "60s"}]`, []config.Bucket{{Quota: 5, Window: time.Minute}}},
		{"none", "buckets: [{quota: none, window: 1m}]", []config.Bucket{{Window: time.Minute}}},
		{"zero", "buckets: [{quota: 0, window: 1m}]", []config.Bucket{{Window: time.Minute}}},
		{"null", "buckets: [{quota: ~, window: 1m}]", []config.Bucket{{Quota: config.Unlimited, Window: time.Minute}}},
		{"infinity", "buckets: [{quota: ∞, window: 1m}]", []config.Bucket{{Quota: config.Unlimited, Window: time.Minute}}},
		{"unlimited", "buckets: [{quota: unlimited, window: 1m}]", []config.Bucket{{Quota: config.Unlimited, Window: time.Minute}}},
		{"ThingsBoard's", `buckets: "10:1,300:60"`, []config.Bucket{{Quota: 10, Window: time.Second}, {Quota: 300, Window: time.Minute}}},
		{"by itself", "sample: {quota: 1, window: 1s, sample: 10s}", []config.Bucket{{Quota: 1, Window: time.Second, Sample: 10 * time.Second}}},
		{"in a text", `buckets: "[{quota: 5, window: 1m}]"`, []config.Bucket{{Quota: 5, Window: time.Minute}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := parse(t, "quota:\n  policies:\n    - {name: p, level: device, "+tt.buckets+"}\n")
			require.Equal(t, tt.want, l.Config.Quota.Policies[0].Buckets)
			require.Equal(t, l.Config, parse(t, string(l.Effective())).Config)
		})
	}
	l := parse(t, "", `WEIR_QUOTA__POLICIES=[{name: p, level: system, buckets: [{quota: 5, window: 1m}]}]`)
	require.Equal(t, uint32(5), l.Config.Quota.Policies[0].Buckets[0].Quota)
}

func TestPolicyFaultsHaveTheirLines(t *testing.T) {
	require.Equal(t, []string{
		`weir.yaml:3: quota.policies[0].level: is missing; expected system, account, device, host, client or custom`,
		`weir.yaml:3: quota.policies[0].buckets[0].quota: is missing; expected a number of requests, or null for any`,
		`weir.yaml:4: quota.policies[1].name: is missing; expected a name of its own`,
		`weir.yaml:5: quota.policies[1].level: "planet" is not known here; expected system, account, device, host, client or custom`,
		`weir.yaml:6: quota.policies[1].kinds: unknown key; did you mean kind?`,
		`weir.yaml:7: quota.policies[1].enforceFrom: "soon" is not a date; expected a date such as 2027-01-01, or an RFC 3339 time`,
		`weir.yaml:9: quota.policies[1].buckets[0].window: "0s" is out of range; expected a duration from 1ms to 720h (such as 90s, 1h30m or 7d)`,
		`weir.yaml:10: quota.policies[1].buckets[1].quota: "-1" is out of range; expected a whole number from 0 to 268435455`,
		`weir.yaml:10: quota.policies[1].buckets[1].window: is missing; expected a duration such as 1s`,
		`weir.yaml:11: quota.policies[1].buckets[2].quota: an empty value is not a whole number; expected a whole number from 0 to 268435455`,
	}, refuse(t, `quota:
  policies:
    - {name: a, buckets: [{window: 1s}]}
    - class: reads
      level: planet
      kinds: token
      enforceFrom: soon
      buckets:
        - {quota: 1, window: 0s}
        - {quota: -1}
        - {quota: "", window: 1s}
`))
}
