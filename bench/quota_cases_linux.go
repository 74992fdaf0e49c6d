package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirgate/weir/bench/internal/keyed"
	"github.com/weirgate/weir/quota"
)

// sink keeps what is measured from being left out.
var sink atomic.Uint64

// speed measures hits, by every host alike and by few most of all.
func (b *quotaBench) speed(n int) error {
	floor, err := keyed.NewFloor(n)
	if err != nil {
		return err
	}
	h, err := b.filled(n)
	if err != nil {
		return err
	}
	bound := 6.0
	if n > 1_000_000 {
		bound = 8
	}
	even := []*workload{newWorkload(keyed.Uniform(n, b.draws, 1)), newWorkload(keyed.Uniform(n, b.draws, 2))}
	r, ns := b.against(floor, h, even[:1])
	detail := fmt.Sprintf("floor %.1f ns", ns)
	b.add("check "+millions(n), r[0], "× floor", must{bound: bound}, detail)
	b.add("batch of 32 "+millions(n), r[1], "× floor", must{bound: 2}, detail)
	r, ns = b.against(floor, h, even)
	b.add("check "+millions(n)+" 2 threads", r[0], "× floor", must{bound: bound}, fmt.Sprintf("floor %.1f ns", ns))
	r, ns = b.against(floor, h, []*workload{newWorkload(keyed.Zipf(n, b.draws, 3))})
	detail = fmt.Sprintf("floor %.1f ns", ns)
	b.add("check Zipf "+millions(n), r[0], "× floor", must{bound: 4}, detail)
	b.add("batch of 32 Zipf "+millions(n), r[1], "× floor", must{bound: 1.7}, detail)
	runtime.KeepAlive(h)
	return nil
}

// against is what a check and one in a batch cost, ÷ the floor; each workload
// is a thread's.
func (b *quotaBench) against(f *keyed.Floor, h *quota.Hosts, threads []*workload) ([]float64, float64) {
	all := func(do func(*workload) uint64) func() {
		return func() {
			var wg sync.WaitGroup
			for _, w := range threads {
				wg.Go(func() { sink.Add(do(w)) })
			}
			wg.Wait()
		}
	}
	return contest(b.rounds, b.draws,
		all(func(w *workload) uint64 { return f.Count(w.draws) }),
		all(func(w *workload) uint64 { return w.check(h) }),
		all(func(w *workload) uint64 { return w.batch(h) }),
	)
}

// allocations counts those of a hit, a new host and an eviction.
func (b *quotaBench) allocations() {
	h, err := b.table(10_000)
	if err != nil {
		panic(err) // the configuration above is valid
	}
	i := uint32(0)
	next := func() { h.Check(keyed.Key(i), 1); i++ }
	b.add("allocations, new host", testing.AllocsPerRun(5000, next), "a check", must{}, "")
	b.add("allocations, hit", testing.AllocsPerRun(5000, func() { h.Check(keyed.Key(1), 1) }), "a check", must{}, "")
	for range 10_000 {
		next()
	}
	b.add("allocations, eviction", testing.AllocsPerRun(5000, next), "a check", must{},
		fmt.Sprintf("%d evicted", h.Stats().Evicted))
}

// memory measures what n hosts take of it, and their table.
func (b *quotaBench) memory(n int, bound float64) *quota.Hosts {
	debug.FreeOSMemory()
	before := resident()
	h, err := b.filled(n)
	if err != nil {
		panic(err) // as above
	}
	debug.FreeOSMemory()
	b.add("resident bytes "+millions(n), float64(resident()-before)/float64(n), "a host", must{bound: bound}, "")
	return h
}

// resident is the memory of this process, in bytes.
func resident() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, pages int64
	_, _ = fmt.Sscan(string(text), &size, &pages)
	return pages * int64(os.Getpagesize())
}

// resting measures what a full table costs that nobody asks: memory, the
// collector's time, and the listing of its busiest.
func (b *quotaBench) resting(n int) error {
	empty := collection()
	h := b.memory(n, 48)
	b.add("collector "+millions(n), max(0, collection()-empty), "ms over empty", must{bound: 2}, "")
	for _, i := range keyed.Zipf(n, b.draws, 4) {
		h.Check(keyed.Key(i), 1)
	}
	floor, err := keyed.NewFloor(n)
	if err != nil {
		return err
	}
	const slotBytes, load = 32, 0.7
	size := int(float64(n) * slotBytes / load)
	r, ns := contest(b.rounds, 1,
		func() { sink.Add(floor.Read(size)) },
		func() { sink.Add(h.Top(100).Requests) },
	)
	b.add("top 100 of "+millions(n), r[0], "× sequential read", must{bound: 2}, fmt.Sprintf("read %.1f ms", ns/1e6))
	return nil
}

// collection is the median time of a cycle of the collector, in ms.
func collection() float64 {
	var ms []float64
	runtime.GC()
	for range 5 {
		start := time.Now()
		runtime.GC()
		ms = append(ms, float64(time.Since(start))/1e6)
	}
	return median(ms)
}

// flood measures a full table where every check is a new host.
func (b *quotaBench) flood(n int) error {
	floor, err := keyed.NewFloor(n)
	if err != nil {
		return err
	}
	h, err := b.table(n)
	if err != nil {
		return err
	}
	next := uint32(0)
	flood := func(count int) {
		for range count {
			h.Check(keyed.Key(next), 1)
			next++
		}
	}
	flood(n + n/2)
	draws := keyed.Uniform(n, b.draws/2, 5)
	before, evicted := resident(), h.Stats().Evicted
	r, ns := contest(b.rounds, len(draws),
		func() { sink.Add(floor.Count(draws)) },
		func() { flood(len(draws)) },
	)
	grown := float64(resident()-before) / (float64(n) * 47)
	b.add("full table, every check new, "+millions(n), r[0], "× floor", must{bound: 12},
		fmt.Sprintf("floor %.1f ns, %d evicted", ns, h.Stats().Evicted-evicted))
	b.add("growth meanwhile, "+millions(n), max(0, 100*grown), "% of the table", must{bound: 1}, "")
	return nil
}

// peers measures other limiters beside Weir's: how much more they cost.
func (b *quotaBench) peers(n int) error {
	h, err := b.filled(n)
	if err != nil {
		return err
	}
	names := keyed.Names(n)
	w := newWorkload(keyed.Uniform(n, b.draws/4, 6))
	peers, err := keyed.Peers(true)
	if err != nil {
		return err
	}
	for _, p := range peers {
		for _, name := range names {
			p.Check(name)
		}
		r, ns := contest(b.rounds, len(w.draws),
			func() { sink.Add(w.check(h)) },
			func() {
				for _, d := range w.draws {
					p.Check(names[d])
				}
			},
		)
		b.add(p.Name+" "+millions(n), r[0], "× Weir", must{1, true}, fmt.Sprintf("Weir %.1f ns", ns))
		p.Close()
		runtime.GC()
	}
	return nil
}

// latency measures whether a check waits while the table is being swept, grown
// or listed.
func (b *quotaBench) latency(n int) error {
	h, err := b.filled(n)
	if err != nil {
		return err
	}
	w := newWorkload(keyed.Uniform(n, b.draws/4, 7))
	next := uint32(n)
	disturbances := []struct {
		name string
		do   func()
	}{
		{"sweeping", h.Sweep},
		{"listing the top", func() { h.Top(100) }},
		{"splitting", func() {
			for range 64 {
				h.Check(keyed.Key(next), 1)
				next++
			}
		}},
	}
	for _, d := range disturbances {
		var ratios []float64
		for range b.rounds {
			calm := tail(h, w, func() { time.Sleep(time.Millisecond) })
			ratios = append(ratios, tail(h, w, d.do)/calm)
		}
		b.add("p99.9 while "+d.name, median(ratios), "× calm", must{bound: 1.5}, "")
	}
	return nil
}

// tail is the p99.9 of w's checks in ns while another goroutine does beside.
func tail(h *quota.Hosts, w *workload, beside func()) float64 {
	var wg sync.WaitGroup
	var done atomic.Bool
	wg.Go(func() {
		for !done.Load() {
			beside()
		}
	})
	took := make([]int64, len(w.keys))
	for i, k := range w.keys {
		start := time.Now()
		h.Check(k, 1)
		took[i] = int64(time.Since(start))
	}
	done.Store(true)
	wg.Wait()
	return quantile(took, 0.999)
}
