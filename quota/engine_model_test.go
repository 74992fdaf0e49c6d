package quota_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/weirgate/weir/quota"
)

// counted is a bucket of one key in the model: a fixed window.
type counted struct {
	start time.Time
	used  uint32
}

// pair is a bucket and a key of it.
type pair struct {
	policy, key string
	window      time.Duration
}

// modelEngine is the plain model of an Engine of fixed windows.
type modelEngine struct {
	policies []quota.PolicyConfig
	counts   map[pair]*counted
}

// keyOf is whom r is counted for.
func keyOf(p *quota.PolicyConfig, r *quota.PolicyRequest) string {
	switch p.Level {
	case quota.LevelAccount:
		return r.Account
	case quota.LevelDevice:
		return r.Account + "/" + r.Device
	case quota.LevelCustom:
		return r.Transport
	}
	return "all"
}

func (m *modelEngine) at(p *quota.PolicyConfig, b quota.Bucket, r *quota.PolicyRequest, now time.Time) *counted {
	k := pair{p.Name, keyOf(p, r), b.Window}
	c := m.counts[k]
	if c == nil || now.Sub(c.start) >= b.Window {
		c = &counted{start: now}
		m.counts[k] = c
	}
	if c.used == 0 {
		c.start = now
	}
	return c
}

// charge is what Charge has to do: whether r is admitted, and where the buckets
// stand.
func (m *modelEngine) charge(r *quota.PolicyRequest, now time.Time) (ok bool, used []uint32) {
	type touched struct {
		c    *counted
		cost uint32
		fits *bool
		b    quota.Bucket
	}
	var all []touched
	ok = true
	for i := range m.policies {
		p := &m.policies[i]
		if p.Class != quota.Total && p.Class != r.Class {
			continue
		}
		cost := uint32(1)
		if p.Class == r.Class {
			cost = max(r.Cost, 1)
		}
		if p.Class == quota.Total {
			cost = 1
		}
		fits := true
		for _, b := range p.Buckets {
			c := m.at(p, b, r, now)
			fits = fits && c.used+cost <= b.Quota
			all = append(all, touched{c, cost, &fits, b})
		}
		ok = ok && (fits || p.Mode == quota.Shadow)
	}
	for _, t := range all {
		if ok && *t.fits {
			t.c.used += t.cost
		}
		used = append(used, min(t.c.used, t.b.Quota))
	}
	return ok, used
}

func drawPolicies(t *rapid.T) []quota.PolicyConfig {
	var all []quota.PolicyConfig
	for i := range rapid.IntRange(1, 4).Draw(t, "policies") {
		p := quota.PolicyConfig{
			Name:  string(rune('a' + i)),
			Level: rapid.SampledFrom([]quota.Level{quota.LevelSystem, quota.LevelAccount, quota.LevelDevice, quota.LevelCustom}).Draw(t, "level"),
			Class: rapid.SampledFrom([]quota.Class{quota.Total, quota.Messages, quota.Reads}).Draw(t, "class"),
			Mode:  rapid.SampledFrom([]quota.Mode{quota.Enforce, quota.Enforce, quota.Shadow}).Draw(t, "mode"),
		}
		if p.Level == quota.LevelCustom {
			p.Key = "transport"
		}
		for _, w := range []time.Duration{time.Second, time.Minute}[:rapid.IntRange(1, 2).Draw(t, "buckets")] {
			p.Buckets = append(p.Buckets, quota.Bucket{Quota: rapid.Uint32Range(0, 12).Draw(t, "quota"), Window: w})
		}
		all = append(all, p)
	}
	return all
}

func drawRequest(t *rapid.T) *quota.PolicyRequest {
	return &quota.PolicyRequest{
		Subject: &quota.Subject{
			Account:   rapid.SampledFrom([]string{"acme", "other"}).Draw(t, "account"),
			Device:    rapid.SampledFrom([]string{"pump", "fan"}).Draw(t, "device"),
			Transport: rapid.SampledFrom([]string{"http", "mqtt"}).Draw(t, "transport"),
		},
		Class: rapid.SampledFrom([]quota.Class{quota.Total, quota.Messages, quota.Reads}).Draw(t, "class"),
		Cost:  rapid.Uint32Range(0, 3).Draw(t, "cost"),
	}
}

// TestAnEngineDoesWhatPlainMapsDo holds all levels, classes, modes and buckets
// together against the model, through reloads of quotas and sweeps.
func TestAnEngineDoesWhatPlainMapsDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newClock()
		m := &modelEngine{policies: drawPolicies(t), counts: map[pair]*counted{}}
		e := engineOf(t, c, m.policies...)
		var out quota.Result
		for range rapid.IntRange(1, 120).Draw(t, "steps") {
			switch rapid.IntRange(0, 19).Draw(t, "step") {
			case 0:
				i := rapid.IntRange(0, len(m.policies)-1).Draw(t, "of")
				changed := append([]quota.PolicyConfig(nil), m.policies...)
				changed[i].Buckets = append([]quota.Bucket(nil), changed[i].Buckets...)
				changed[i].Buckets[0].Quota = rapid.Uint32Range(0, 12).Draw(t, "new quota")
				m.policies = changed
				require.NoError(t, e.Reload(&quota.EngineConfig{Policies: changed}))
			case 1:
				e.Sweep()
				e.TellRecovered()
			default:
				c.move(time.Duration(rapid.IntRange(0, 400).Draw(t, "ms")) * time.Millisecond)
				r := drawRequest(t)
				ok, used := m.charge(r, c.Now())
				e.Charge(r, &out)
				require.Equal(t, ok, out.Refusal() == nil, "%+v", out.Limits)
				require.Len(t, out.Limits, len(used))
				for i, st := range out.Limits {
					require.Equal(t, used[i], st.Used, "bucket %d: %+v", i, st.Decision)
				}
			}
		}
	})
}
