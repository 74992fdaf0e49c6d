package quota_test

import (
	"sync/atomic"
	"testing"

	"github.com/weirgate/weir/quota"
)

// benchmarkHosts is a table of a million hosts, held of which are known.
func benchmarkHosts(b *testing.B, held int) *quota.Hosts {
	b.Helper()
	cfg := config(quota.SystemClock{})
	cfg.Limit, cfg.MaxHosts = 1<<31, 1_000_000
	h := newHosts(b, cfg)
	for i := range held {
		h.Check(stranger(i), overHTTP)
	}
	b.ReportAllocs()
	b.ResetTimer()
	return h
}

// spread is a permutation of 0 to 2^19-1, so that no check finds its slot in
// the cache because its neighbour was just asked for.
func spread(i int) int { return i * 347_747 & (1<<19 - 1) }

func BenchmarkCheckHit(b *testing.B) {
	h := benchmarkHosts(b, 1<<19)
	for i := range b.N {
		h.Check(stranger(spread(i)), overHTTP)
	}
}

func BenchmarkCheckHitParallel(b *testing.B) {
	h := benchmarkHosts(b, 1<<19)
	var start atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		for i := int(start.Add(1 << 17)); pb.Next(); i++ {
			h.Check(stranger(spread(i)), overHTTP)
		}
	})
}

func BenchmarkCheckOneHost(b *testing.B) {
	h := benchmarkHosts(b, 0)
	k := stranger(1)
	for range b.N {
		h.Check(k, overHTTP)
	}
}

func BenchmarkCheckRefused(b *testing.B) {
	cfg := config(quota.SystemClock{})
	h := newHosts(b, cfg)
	k := stranger(1)
	b.ReportAllocs()
	for range b.N {
		h.Check(k, overHTTP)
	}
}

func BenchmarkCheckEviction(b *testing.B) {
	cfg := config(quota.SystemClock{})
	cfg.MaxHosts = 50_000
	h := newHosts(b, cfg)
	for i := range 1 << 17 {
		h.Check(stranger(i), overHTTP)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		h.Check(stranger((1<<17+i)&(1<<24-1)), overHTTP)
	}
}

func BenchmarkSweepOfLive(b *testing.B) {
	h := benchmarkHosts(b, 1<<19)
	for range b.N {
		h.Sweep()
	}
}

func BenchmarkReport(b *testing.B) {
	h := benchmarkHosts(b, 1<<19)
	for range b.N {
		h.Top(10)
	}
}
