package devices_test

import (
	"fmt"
	"testing"
	"unsafe"

	"github.com/weirgate/weir/devices"
)

// alias is b as a string without a copy, as transports pass what they read.
func alias(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func BenchmarkByToken(b *testing.B) {
	const n = 10_000
	list := make([]devices.Listed, n)
	for i := range list {
		list[i] = devices.Listed{Device: fmt.Sprint("listed ", i), Token: fmt.Sprintf("A1_TEST_TOKEN_%06d", i)}
	}
	benches := []struct {
		name string
		mode devices.Mode
		list []devices.Listed
		form string
	}{
		{"token/listed", devices.Token, list, "A1_TEST_TOKEN_%06d"},
		{"token/unknown", devices.Token, list, "B1_TEST_TOKEN_%06d"},
		{"open/no list", devices.Open, nil, "open device no %06d"},
		{"open/with a list", devices.Open, list, "open device no %06d"},
	}
	for _, bb := range benches {
		d, err := devices.New(&devices.Config{Mode: bb.mode, List: bb.list})
		if err != nil {
			b.Fatal(err)
		}
		tokens := make([][]byte, n)
		for i := range tokens {
			tokens[i] = fmt.Appendf(nil, bb.form, i)
			_, _ = d.ByToken(string(tokens[i]))
		}
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				_, _ = d.ByToken(alias(tokens[i]))
				if i++; i == n {
					i = 0
				}
			}
		})
		b.Run(bb.name+"/parallel", func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					_, _ = d.ByToken(alias(tokens[i%n]))
				}
			})
		})
	}
}
