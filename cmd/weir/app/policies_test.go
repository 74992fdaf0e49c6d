package app_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/cmd/weir/app"
	"github.com/weirgate/weir/config"
)

// TestPoliciesReload: policies come, change and go while their counts stay.
func TestPoliciesReload(t *testing.T) {
	const policies = `quota: {policies: [{name: device, level: device, class: messages, buckets: [{quota: %d, window: 1h}]}]}`
	a := start(t, fmt.Sprintf(policies, 2))
	reload := func(text string) error {
		return a.Reload(func() (*config.Loaded, error) { return config.Parse("weir.yaml", []byte(text), nil) })
	}
	require.Equal(t, []int{200, 200, 429}, []int{post(t, a), post(t, a), post(t, a)})
	require.ErrorContains(t, reload("quota: {policies: [{name: host, level: device, buckets: []}]}"), "weir.yaml:1: quota.policies[0].buckets: ")
	require.Equal(t, 429, post(t, a), "the old ones are in force")
	require.NoError(t, reload(fmt.Sprintf(policies, 3)))
	require.Equal(t, []int{200, 429}, []int{post(t, a), post(t, a)}, "two were spent before")
	_, body := get(t, a.Addrs().Control+"/metrics")
	require.Contains(t, body, `weir_policy_requests_total{policy="device",verdict="admitted"} 3`)
	require.Contains(t, body, `weir_policy_requests_total{policy="device",verdict="refused"} 3`)
	require.Contains(t, body, `weir_requests_total{transport="http",verdict="limited"} 3`)
	require.Contains(t, body, "weir_quota_spells 1")
	require.NoError(t, reload(""))
	require.Equal(t, 200, post(t, a))
}

// TestPolicyFaultsHaveTheirPlaces: what only the quota knows is told by line.
func TestPolicyFaultsHaveTheirPlaces(t *testing.T) {
	loaded, err := config.Parse("weir.yaml", []byte(`quota:
  policies:
    - name: a b
      level: device
      key: topic
      buckets:
        - {quota: 1, window: 1s, sample: 10s}
        - {quota: 2, window: 1s}
    - {name: host, level: custom, buckets: "1:60,2:1"}
`), nil)
	require.NoError(t, err)
	_, err = app.New(&app.Options{Config: loaded})
	require.EqualError(t, err, `weir.yaml:3: quota.policies[0].name: expected 1 to 64 letters, digits, dots, underscores and hyphens
weir.yaml:5: quota.policies[0].key: only level custom has a key; expected nothing
weir.yaml:7: quota.policies[0].buckets[0].sample: only kind sliding has a sample; expected none
weir.yaml:8: quota.policies[0].buckets[1].window: another bucket of the policy has this window; expected one bucket a window
weir.yaml:9: quota.policies[1].key: expected topic, transport, clientId, or header: and a field name, as in header:X-Tenant
weir.yaml:9: quota.policies[1].name: "host" is the host quota's; expected a name of its own`)
}

// TestThePagesPoliciesLoad: what docs/quota.md shows is a configuration.
func TestThePagesPoliciesLoad(t *testing.T) {
	page, err := os.ReadFile("../../../docs/quota.md")
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(page), "```yaml\n")
	yaml, _, found := strings.Cut(rest, "```")
	require.True(t, found)
	loaded, err := config.Parse("quota.md", []byte(yaml), nil)
	require.NoError(t, err)
	require.Len(t, loaded.Config.Quota.Policies, 4)
	_, err = app.New(&app.Options{Config: loaded})
	require.NoError(t, err)
}
