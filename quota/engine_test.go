package quota_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/quota"
)

// bucket is a quota a minute.
func aMinute(n uint32) []quota.Bucket { return []quota.Bucket{{Quota: n, Window: minute}} }

func TestASensorBehindASharedAddressSpendsItsOwnBudget(t *testing.T) {
	e := engineOf(t, newClock(),
		quota.PolicyConfig{Name: "device", Level: quota.LevelDevice, Buckets: aMinute(3)},
		quota.PolicyConfig{Name: "account", Level: quota.LevelAccount, Buckets: aMinute(8)})
	require.Equal(t, 3, through(e, request("loud", quota.Messages), 10))
	require.Equal(t, 3, through(e, request("sensor", quota.Messages), 3), "the neighbour is not hurt")
	require.Equal(t, 2, through(e, request("third", quota.Messages), 3), "the account has spent 8")
	st, refused := charge(e, request("third", quota.Reads))
	require.True(t, refused)
	require.Equal(t, "account", st.Policy.Name)
	require.Equal(t, uint32(8), st.Used)
	stranger := request("sensor", quota.Messages)
	stranger.Account = "other"
	require.Equal(t, 3, through(e, stranger, 10), "another account's device of the same name")
}

func TestEveryLevelCountsItsOwn(t *testing.T) {
	base := func() *quota.PolicyRequest { return request("pump", quota.Messages) }
	other := map[quota.Level]func(r *quota.PolicyRequest){ // a request that is counted apart
		quota.LevelHost:    func(r *quota.PolicyRequest) { r.Host = key("192.0.2.8") },
		quota.LevelAccount: func(r *quota.PolicyRequest) { r.Account = "other" },
		quota.LevelDevice:  func(r *quota.PolicyRequest) { r.Device = "fan" },
		quota.LevelClient:  func(r *quota.PolicyRequest) { r.ClientID = "c2" },
	}
	for level, change := range other {
		t.Run(level.String(), func(t *testing.T) {
			e := engineOf(t, newClock(), quota.PolicyConfig{Name: "p", Level: level, Buckets: aMinute(1)})
			require.Equal(t, 1, through(e, base(), 3))
			r := base()
			change(r)
			require.Equal(t, 1, through(e, r, 3))
			require.Equal(t, 3, through(e, &quota.PolicyRequest{Subject: &quota.Subject{}}, 3), "nobody's key is not counted")
		})
	}
	t.Run("system", func(t *testing.T) {
		e := engineOf(t, newClock(), quota.PolicyConfig{Name: "p", Level: quota.LevelSystem, Buckets: aMinute(2)})
		require.Equal(t, 1, through(e, base(), 1))
		require.Equal(t, 1, through(e, &quota.PolicyRequest{Subject: &quota.Subject{}}, 3))
	})
}

// fields are header fields.
type fields map[string]string

func (f fields) Header(name string) string { return f[name] }

func TestACustomPolicyCountsByWhatItsKeyNames(t *testing.T) {
	for name, change := range map[string]func(r *quota.PolicyRequest){
		"topic":           func(r *quota.PolicyRequest) { r.Topic = "v1/devices/me/attributes" },
		"transport":       func(r *quota.PolicyRequest) { r.Transport = "coap" },
		"clientId":        func(r *quota.PolicyRequest) { r.ClientID = "c2" },
		"header:X-Tenant": func(r *quota.PolicyRequest) { r.Headers = fields{"X-Tenant": "b"} },
	} {
		t.Run(name, func(t *testing.T) {
			e := engineOf(t, newClock(), quota.PolicyConfig{
				Name: "p", Level: quota.LevelCustom, Key: name, Buckets: aMinute(1),
			})
			base := func() *quota.PolicyRequest {
				r := request("pump", quota.Messages)
				r.Headers = fields{"X-Tenant": "a"}
				return r
			}
			require.Equal(t, 1, through(e, base(), 3))
			r := base()
			change(r)
			require.Equal(t, 1, through(e, r, 3))
			require.Equal(t, 3, through(e, &quota.PolicyRequest{Subject: &quota.Subject{}}, 3), "without the key")
		})
	}
}

func TestAClassIsCountedInItsOwnPoliciesAndInTotal(t *testing.T) {
	e := engineOf(t, newClock(),
		quota.PolicyConfig{Name: "total", Level: quota.LevelDevice, Buckets: aMinute(10)},
		quota.PolicyConfig{Name: "messages", Level: quota.LevelDevice, Class: quota.Messages, Buckets: aMinute(5)},
		quota.PolicyConfig{Name: "reads", Level: quota.LevelDevice, Class: quota.Reads, Buckets: aMinute(2)})
	var out quota.Result
	e.Charge(messages("pump", 4), &out)
	require.Nil(t, out.Refusal())
	require.Len(t, out.Limits, 2)
	require.Equal(t, uint32(1), out.Limits[0].Used, "a batch is one request")
	require.Equal(t, uint32(4), out.Limits[1].Used, "of four messages")
	require.Equal(t, 2, through(e, request("pump", quota.Reads), 3))
	require.Equal(t, 7, through(e, request("pump", quota.Total), 9), "one and two of ten are spent")
}

func TestARefusalChargesNothing(t *testing.T) {
	c := newClock()
	e := engineOf(t, c,
		quota.PolicyConfig{Name: "short", Level: quota.LevelAccount, Class: quota.Messages,
			Buckets: []quota.Bucket{{Quota: 4, Window: time.Second}, {Quota: 6, Window: minute}}},
		quota.PolicyConfig{Name: "device", Level: quota.LevelDevice, Class: quota.Messages, Buckets: aMinute(100)})
	var out quota.Result
	e.Charge(messages("pump", 4), &out)
	require.Nil(t, out.Refusal())
	c.move(500 * time.Millisecond)
	e.Charge(messages("pump", 3), &out)
	require.Equal(t, "short-60", out.Refusal().Policy.Name, "the longest wait of two that are violated")
	require.Equal(t, 59*time.Second+500*time.Millisecond, out.Refusal().Wait())
	require.Equal(t, []uint32{4, 4, 4}, []uint32{out.Limits[0].Used, out.Limits[1].Used, out.Limits[2].Used})
	e.Charge(messages("pump", 1), &out)
	require.Equal(t, "short-1", out.Refusal().Policy.Name)
	require.Equal(t, 500*time.Millisecond, out.Refusal().Wait())
	c.move(500 * time.Millisecond)
	e.Charge(messages("pump", 2), &out)
	require.Nil(t, out.Refusal(), "nothing was charged meanwhile")
	e.Charge(messages("pump", 5), &out)
	require.Equal(t, "short-1", out.Refusal().Policy.Name)
	require.True(t, out.Refusal().Never, "five never fit a quota of four")
	require.Zero(t, out.Refusal().Wait())
}

func TestAQuotaOfNoneAdmitsNoneAndAnUnlimitedOneAll(t *testing.T) {
	e := engineOf(t, newClock(),
		quota.PolicyConfig{Name: "none", Level: quota.LevelDevice, Class: quota.Reads, Buckets: aMinute(0)},
		quota.PolicyConfig{Name: "all", Level: quota.LevelDevice, Buckets: aMinute(quota.Unlimited)})
	require.Equal(t, 0, through(e, request("pump", quota.Reads), 3))
	require.Equal(t, 100, through(e, request("pump", quota.Messages), 100))
	st, _ := charge(e, request("pump", quota.Messages))
	require.Nil(t, st.Policy, "nothing limits, nothing is shown")
}

func TestAShadowOnlyWatches(t *testing.T) {
	c := newClock()
	d := &diary{}
	e, err := quota.NewEngine(&quota.EngineConfig{Clock: c, OnTransition: d.tell, Policies: []quota.PolicyConfig{
		{Name: "later", Level: quota.LevelDevice, EnforceFrom: c.Now().Add(time.Hour), Buckets: aMinute(2)},
	}})
	require.NoError(t, err)
	require.Equal(t, 5, through(e, request("pump", quota.Total), 5))
	st, _ := charge(e, request("pump", quota.Total))
	require.True(t, st.Shadow && st.Over)
	require.Zero(t, st.Remaining())
	require.Equal(t, uint64(4), e.Report()[0].Shadowed)
	require.Equal(t, uint64(2), e.Report()[0].Admitted)
	require.True(t, d.all()[0].Shadow && d.all()[0].Exceeded)
	c.move(time.Hour)
	require.Equal(t, 2, through(e, request("pump", quota.Total), 5), "now it is enforced")
	require.Equal(t, uint64(3), e.Report()[0].Refused)
}

func TestAShadowOfManyBucketsChargesAllOrNone(t *testing.T) {
	c := newClock()
	e := engineOf(t, c, quota.PolicyConfig{
		Name: "s", Level: quota.LevelDevice, Mode: quota.Shadow,
		Buckets: []quota.Bucket{{Quota: 1, Window: time.Second}, {Quota: 10, Window: minute}},
	})
	var out quota.Result
	for range 5 {
		e.Charge(request("pump", quota.Total), &out)
	}
	require.Equal(t, uint32(1), out.Limits[1].Used, "as if the others had been refused")
}

func TestAReloadKeepsTheCountsOfWhatStays(t *testing.T) {
	c := newClock()
	p := quota.PolicyConfig{Name: "p", Level: quota.LevelDevice, Buckets: aMinute(5)}
	e := engineOf(t, c, p)
	require.Equal(t, 4, through(e, request("pump", quota.Total), 4))
	reload := func(p ...quota.PolicyConfig) { require.NoError(t, e.Reload(&quota.EngineConfig{Policies: p})) }
	p.Buckets = []quota.Bucket{{Quota: 7, Window: minute}, {Quota: 100, Window: time.Hour}}
	reload(quota.PolicyConfig{Name: "new", Level: quota.LevelSystem, Buckets: aMinute(50)}, p)
	require.Equal(t, 3, through(e, request("pump", quota.Total), 9), "four of seven were spent")
	require.Equal(t, uint64(7), e.Report()[1].Admitted)
	p.Buckets = aMinute(2)
	reload(p)
	st, refused := charge(e, request("pump", quota.Total))
	require.True(t, refused)
	require.Equal(t, uint32(2), st.Used, "never more than the quota is told")
	require.Error(t, e.Reload(&quota.EngineConfig{Policies: []quota.PolicyConfig{{}}}))
	_, refused = charge(e, request("pump", quota.Total))
	require.True(t, refused, "a bad reload changes nothing")
	reload()
	require.Equal(t, 9, through(e, request("pump", quota.Total), 9))
}

func TestASpellOfAKeyIsToldOnceAndEndsAfterAQuietWindow(t *testing.T) {
	c, d := newClock(), &diary{}
	e, err := quota.NewEngine(&quota.EngineConfig{Clock: c, OnTransition: d.tell, Policies: []quota.PolicyConfig{
		{Name: "device", Level: quota.LevelDevice, Buckets: aMinute(1)},
	}})
	require.NoError(t, err)
	require.Equal(t, 1, through(e, request("pump", quota.Total), 100))
	require.Len(t, d.all(), 1)
	require.Equal(t, 1, e.Stats().Spells)
	require.Equal(t, uint64(99), e.Exceeding(10)[0].Refused)
	c.move(minute - time.Millisecond)
	e.TellRecovered()
	require.Len(t, d.all(), 1)
	c.move(time.Millisecond)
	e.TellRecovered()
	told := d.all()
	require.Len(t, told, 2)
	require.True(t, told[0].Exceeded)
	require.Equal(t, "acme/pump", told[0].Name)
	require.Equal(t, quota.LevelDevice, told[0].Policy.Level)
	require.Equal(t, overMQTT, told[1].Origins)
	require.False(t, told[1].Exceeded)
	require.Equal(t, uint64(99), told[1].Refused)
	require.Zero(t, e.Stats().Spells)
}

func TestALookupTellsAndChangesNothing(t *testing.T) {
	e := engineOf(t, newClock(), quota.PolicyConfig{Name: "p", Level: quota.LevelDevice, Buckets: aMinute(1)})
	var out quota.Result
	for range 3 {
		e.Lookup(request("pump", quota.Total), &out)
		require.Nil(t, out.Refusal())
		require.Equal(t, uint32(1), out.Limits[0].Remaining())
	}
	require.Zero(t, e.Stats().Keys)
	through(e, request("pump", quota.Total), 1)
	e.Lookup(request("pump", quota.Total), &out)
	require.Equal(t, "p", out.Refusal().Policy.Name)
	require.Equal(t, minute, out.Refusal().Wait())
}

func TestPolicyFaultsAreAllToldAtOnce(t *testing.T) {
	for _, tt := range []struct {
		name  string
		give  quota.PolicyConfig
		paths []string
	}{
		{"nothing", quota.PolicyConfig{}, []string{"name", "buckets"}},
		{"a bad name", quota.PolicyConfig{Name: "a b", Buckets: aMinute(1)}, []string{"name"}},
		{"a custom level without a key", quota.PolicyConfig{Name: "a", Level: quota.LevelCustom, Buckets: aMinute(1)}, []string{"key"}},
		{"a key at another level", quota.PolicyConfig{Name: "a", Key: "topic", Buckets: aMinute(1)}, []string{"key"}},
		{"a header without a name", quota.PolicyConfig{Name: "a", Level: quota.LevelCustom, Key: "header:", Buckets: aMinute(1)}, []string{"key"}},
		{"one window twice", quota.PolicyConfig{Name: "a", Buckets: append(aMinute(1), aMinute(2)...)}, []string{"buckets[1].window"}},
		{"no window", quota.PolicyConfig{Name: "a", Buckets: []quota.Bucket{{Quota: 1}}}, []string{"buckets[0].window"}},
		{"a part of a millisecond", quota.PolicyConfig{Name: "a", Buckets: []quota.Bucket{{Quota: 1, Window: 1500 * time.Microsecond}}}, []string{"buckets[0].window"}},
		{"a window of two months", quota.PolicyConfig{Name: "a", Buckets: []quota.Bucket{{Quota: 1, Window: 60 * 24 * time.Hour}}}, []string{"buckets[0].window"}},
		{"too large a quota", quota.PolicyConfig{Name: "a", Buckets: aMinute(quota.MaxQuota + 1)}, []string{"buckets[0].quota"}},
		{"a sample of a fixed window", quota.PolicyConfig{Name: "a", Buckets: []quota.Bucket{{Quota: 1, Window: time.Second, Sample: minute}}}, []string{"buckets[0].sample"}},
		{"a sample under its window", quota.PolicyConfig{Name: "a", Kind: quota.KindSliding, Buckets: []quota.Bucket{{Quota: 1, Window: minute, Sample: time.Second}}}, []string{"buckets[0].sample"}},
		{"a sliding window of too many", quota.PolicyConfig{Name: "a", Kind: quota.KindSliding, Buckets: []quota.Bucket{{Quota: 1e6, Window: time.Second, Sample: 10 * time.Second}}}, []string{"buckets[0].quota"}},
		{"unknown values", quota.PolicyConfig{Name: "a", Level: 99, Class: 99, Kind: 99, Mode: 99, Profile: 99, Buckets: aMinute(1)}, []string{"level", "class", "kind", "mode", "profile"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var paths []string
			for _, f := range tt.give.Validate() {
				paths = append(paths, f.Path)
				require.NotEmpty(t, f.Problem)
			}
			require.Equal(t, tt.paths, paths)
		})
	}
	faults := quota.ValidatePolicies([]quota.PolicyConfig{
		{Name: "host", Buckets: aMinute(1)}, {Name: "a-60", Buckets: aMinute(1)},
		{Name: "a", Buckets: []quota.Bucket{{Quota: 1, Window: minute}, {Quota: 1, Window: time.Second}}},
		{Name: "a-60", Buckets: aMinute(1)},
	})
	require.Len(t, faults, 3)
	require.Equal(t, "[0].name", faults[0].Path)
	require.Equal(t, "[2].name", faults[1].Path)
	require.Contains(t, faults[1].Problem, `"a-60" is shown by policy 2`)
	require.Equal(t, "[3].name", faults[2].Path)
	_, err := quota.NewEngine(&quota.EngineConfig{MaxKeys: -1, Policies: []quota.PolicyConfig{{Name: "host"}}})
	require.ErrorContains(t, err, "policies[0].name")
	require.ErrorContains(t, err, "maxKeys")
}
