package hostlist_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"testing"

	"github.com/weirgate/weir/hostlist"
)

// spread is the i-th of a sequence of scattered IPv4 addresses, none twice.
func spread(i int) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], uint32(i)*2654435761)
	return netip.AddrFrom4(b)
}

func filled(tb testing.TB, n int) *hostlist.Lists {
	l := hostlist.New(&hostlist.Config{})
	deny := make([]hostlist.Entry, n)
	for i := range deny {
		deny[i] = entry(tb, spread(i).String())
	}
	l.Set(entries(tb, "localhost,127.0.0.1"), deny)
	return l
}

func BenchmarkVerdict(b *testing.B) {
	for _, n := range []int{0, 10_000, 1_000_000} {
		l := filled(b, n)
		for _, bb := range []struct {
			name  string
			first int
		}{{"listed", 0}, {"neutral", n}} {
			b.Run(fmt.Sprintf("%d/%s", n, bb.name), func(b *testing.B) {
				hosts := make([]netip.Addr, 1024)
				for i := range hosts {
					hosts[i] = spread(bb.first + i*max(n, 1024)/1024)
				}
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					l.Verdict(hosts[i&1023])
					i++
				}
			})
		}
	}
}

func BenchmarkPut(b *testing.B) {
	for _, n := range []int{100, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			l := filled(b, n)
			e := entry(b, spread(n).String())
			b.ReportAllocs()
			for b.Loop() {
				if err := l.Put(hostlist.Deny, e); err != nil {
					b.Fatal(err)
				}
				l.Delete(hostlist.Deny, e)
			}
		})
	}
}

// BenchmarkMemory reports what one entry that Put listed takes.
func BenchmarkMemory(b *testing.B) {
	const n = 100_000
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		l := hostlist.New(&hostlist.Config{})
		for i := range n {
			if err := l.Put(hostlist.Deny, entry(b, spread(i).String())); err != nil {
				b.Fatal(err)
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "B/entry")
		runtime.KeepAlive(l)
	}
}
