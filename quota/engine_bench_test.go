package quota_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/weirgate/weir/quota"
)

// BenchmarkCharge is one request of each of 100,000 devices in turn.
func BenchmarkCharge(b *testing.B) {
	policy := func(k quota.Kind, windows ...time.Duration) quota.PolicyConfig {
		p := quota.PolicyConfig{Name: "p", Level: quota.LevelDevice, Kind: k}
		for _, w := range windows {
			p.Buckets = append(p.Buckets, quota.Bucket{Quota: 1 << 20, Window: w})
		}
		return p
	}
	for _, bb := range []struct {
		name string
		p    quota.PolicyConfig
	}{
		{"fixed", policy(quota.KindFixed, time.Minute)},
		{"clock", policy(quota.KindClock, time.Minute)},
		{"sliding", policy(quota.KindSliding, time.Minute)},
		{"token", policy(quota.KindToken, time.Minute)},
		{"fixed, three windows", policy(quota.KindFixed, time.Second, time.Minute, time.Hour)},
	} {
		b.Run(bb.name, func(b *testing.B) {
			const devices = 100_000
			e := engineOf(b, nil, bb.p)
			requests, out := make([]*quota.PolicyRequest, devices), &quota.Result{}
			for i := range requests {
				requests[i] = request(strconv.Itoa(i), quota.Messages)
				e.Charge(requests[i], out)
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				e.Charge(requests[i], out)
				if i += 7919; i >= devices {
					i -= devices
				}
			}
		})
	}
}
