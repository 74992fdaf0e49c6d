package bus_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weirgate/weir/bus"
)

// window bounds what a benchmark has in flight.
type window chan struct{}

func (w window) Complete(_ uint64, err error) {
	if err != nil {
		panic(err)
	}
	<-w
}

// BenchmarkStored is the whole way up and back with an fsync before every
// acknowledgement: messages of 100 bytes, so many in flight.
func BenchmarkStored(b *testing.B) {
	for _, inFlight := range []int{1, 16, 200, 1000, 4096} {
		b.Run(fmt.Sprintf("inflight=%d", inFlight), func(b *testing.B) {
			cfg := embeddedConfig(b)
			cfg.Up.MaxBytes = 1 << 30
			gate := openBus(b, cfg)
			r, w := record("d00001", strings.Repeat("x", 100)), make(window, inFlight)
			b.ReportAllocs()
			for b.Loop() {
				w <- struct{}{}
				if err := gate.Submit(r, w, 0); err != nil {
					b.Fatal(err)
				}
			}
			for range inFlight {
				w <- struct{}{}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
		})
	}
}

// BenchmarkCrossover is the time of n messages together and one by one; the
// constant crossover is where the first becomes the shorter.
func BenchmarkCrossover(b *testing.B) {
	for _, n := range []int{2, 5, 10, 15, 20, 40} {
		for _, together := range []bool{true, false} {
			b.Run(fmt.Sprintf("n=%d/together=%t", n, together), func(b *testing.B) {
				cfg := embeddedConfig(b)
				cfg.Up.MaxBytes = 1 << 30
				gate := openBus(b, cfg)
				bus.WriteBatches(gate, record("d", strings.Repeat("x", 100)), n, together, b.Loop)
			})
		}
	}
}
