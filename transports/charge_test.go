package transports_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/devices"
	"github.com/weirgate/weir/hostlist"
	"github.com/weirgate/weir/quota"
	"github.com/weirgate/weir/transports"
)

// limitedGate is a Gate with policies and nothing else.
func limitedGate(t *testing.T, policies ...quota.PolicyConfig) *transports.Gate {
	t.Helper()
	e, err := quota.NewEngine(&quota.EngineConfig{Policies: policies})
	require.NoError(t, err)
	return transports.NewGate(&transports.GateConfig{Policies: e})
}

func TestAChargeFollowsItsDevice(t *testing.T) {
	g := limitedGate(t, quota.PolicyConfig{Name: "p", Level: quota.LevelDevice, Buckets: []quota.Bucket{{Quota: 1, Window: time.Minute}}})
	var c transports.Charge
	charge := func(d *devices.Device) transports.RefusalKind {
		r := g.Charge(&c, &transports.Ask{Transport: transports.CoAP, Device: d, Class: quota.Messages, Cost: 1})
		return r.Kind
	}
	pump, fan := &devices.Device{Account: "acme", Name: "pump"}, &devices.Device{Account: "acme", Name: "fan"}
	require.Equal(t, transports.None, charge(pump))
	require.Equal(t, transports.None, charge(fan), "one Charge serves datagrams of many")
	require.Equal(t, transports.QuotaExceeded, charge(pump))
	require.Equal(t, transports.QuotaExceeded, charge(fan))
	require.Len(t, c.Limits(), 1)
	require.Contains(t, g.Stats(), transports.AdmissionCount{Transport: "coap", Verdict: "limited", Count: 2})
	c.Reset()
	require.Empty(t, c.Limits())
}

func TestARefusalTellsItsPolicy(t *testing.T) {
	g := limitedGate(t, quota.PolicyConfig{
		Name: "p", Level: quota.LevelDevice, Class: quota.Messages, Profile: quota.Bandwidth,
		Buckets: []quota.Bucket{{Quota: 3, Window: time.Minute}},
	})
	var c transports.Charge
	ask := &transports.Ask{Device: &devices.Device{Account: "acme", Name: "pump"}, Class: quota.Messages, Cost: 2}
	r := g.Charge(&c, ask)
	require.False(t, r.Refused())
	r = g.Charge(&c, ask)
	require.Equal(t, transports.QuotaExceeded, r.Kind)
	require.Equal(t, quota.Bandwidth, r.Profile)
	require.Equal(t, quota.Messages, r.Class)
	require.Equal(t, []any{"p", uint32(2), uint32(3), uint32(2)}, []any{r.Policy, r.Used, r.Quota, r.Cost})
	require.GreaterOrEqual(t, r.Wait, 59)
	require.LessOrEqual(t, r.After, time.Minute)
	ask.Cost = 4
	r = g.Charge(&c, ask)
	require.Equal(t, transports.CostTooHigh, r.Kind)
	require.Zero(t, r.Wait)
}

func TestPartitionKeysHideWhoseTheyAre(t *testing.T) {
	g := limitedGate(t,
		quota.PolicyConfig{Name: "d", Level: quota.LevelDevice, Buckets: []quota.Bucket{{Quota: 9, Window: time.Minute}}},
		quota.PolicyConfig{Name: "c", Level: quota.LevelClient, Buckets: []quota.Bucket{{Quota: 9, Window: time.Minute}}})
	var c transports.Charge
	fields := func(p *transports.PartitionKeys, device string) string {
		g.Charge(&c, &transports.Ask{Device: &devices.Device{Account: "acme", Name: device}})
		return string(p.AppendRateLimitPolicies(nil, &c))
	}
	shown := transports.NewPartitionKeys(nil, true)
	require.Equal(t, `"d";q=9;w=60;pk=:YWNtZS9wdW1w:, "c";q=9;w=60;pk=:YWNtZS9wdW1w:`, fields(shown, "pump"))
	c = transports.Charge{}
	hidden := transports.NewPartitionKeys([]byte("secret"), false)
	one := fields(hidden, "pump")
	require.Regexp(t, `^"d";q=9;w=60;pk=:[A-Za-z0-9+/]{16}:, "c";q=9;w=60;pk=:[A-Za-z0-9+/]{16}:$`, one)
	require.NotEqual(t, one, fields(hidden, "fan"))
	require.Equal(t, one, fields(hidden, "pump"))
}

func TestABatchCostsItsMessages(t *testing.T) {
	for payload, want := range map[string]int{
		`{}`: 1, ` [{},{} , {}]`: 3, `[]`: 1, `[{}`: 1, ``: 1, `[1,2]`: 2, `{"values":[1,2]}`: 1,
	} {
		require.Equal(t, want, transports.Messages(transports.Telemetry, []byte(payload)), payload)
	}
	require.Equal(t, 1, transports.Messages(transports.Attributes, []byte(`[{},{}]`)))
}

func TestAllowedHostsAreNotCountedAsHosts(t *testing.T) {
	w, _ := newWorld()
	bucket := []quota.Bucket{{Quota: 1, Window: time.Minute}}
	e, err := quota.NewEngine(&quota.EngineConfig{Policies: []quota.PolicyConfig{
		{Name: "h", Level: quota.LevelHost, Buckets: bucket}, {Name: "d", Level: quota.LevelDevice, Class: quota.Reads, Buckets: bucket},
	}})
	require.NoError(t, err)
	g := transports.NewGate(&transports.GateConfig{Lists: w, Policies: e})
	office, street := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("198.51.100.1")
	w.verdicts[office] = hostlist.Allowed
	var c transports.Charge
	charge := func(a netip.Addr, class quota.Class) string {
		r := g.Charge(&c, &transports.Ask{Host: g.Host(a), Device: &devices.Device{Account: "acme", Name: "pump"}, Class: class})
		return r.Policy
	}
	require.Equal(t, []string{"", "h"}, []string{charge(street, quota.Total), charge(street, quota.Total)})
	require.Equal(t, []string{"", ""}, []string{charge(office, quota.Total), charge(office, quota.Total)})
	require.Equal(t, []string{"", "d"}, []string{charge(office, quota.Reads), charge(office, quota.Reads)}, "the device's quota holds")
	w.verdicts[office] = hostlist.Neutral
	require.Equal(t, []string{"", "h"}, []string{charge(office, quota.Total), charge(office, quota.Total)}, "at once")
}
