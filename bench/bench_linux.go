package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// bench is one run of some cases.
type bench struct {
	options
	self   string // this program
	rounds int
	warm   time.Duration // of load before a measurement, where a case is warmed up
	window time.Duration // of a measurement
	serial int           // of folders for stores
}

func newBench(o *options) (*bench, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	b := &bench{options: *o, self: self, rounds: 5, warm: 700 * time.Millisecond, window: 2 * time.Second}
	if o.quick {
		b.rounds, b.warm, b.window = 1, 200*time.Millisecond, 500*time.Millisecond
	}
	if _, known := find(o.only); o.only != "" && !known {
		return nil, fmt.Errorf("no such case: %s", o.only)
	}
	return b, nil
}

// sample is what one round of one server gave: a cost, or a rate.
type sample float64

// scenario is a case: Weir and a peer, measured in turns.
type scenario struct {
	name, title string
	unit        string // of the ratio
	sampleUnit  string // of a sample
	must        must
	weir, peer  func(context.Context, *bench) (sample, error)
}

func scenarios() []scenario {
	return []scenario{httpScenario(), coapScenario(), mqttScenario(), storeScenario()}
}

func find(name string) (scenario, bool) {
	all := scenarios()
	i := slices.IndexFunc(all, func(s scenario) bool { return s.name == name })
	if i < 0 {
		return scenario{}, false
	}
	return all[i], true
}

// say tells how the run goes; the rows go to standard output.
func (b *bench) say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// measure runs the cases, one after the other; a case that fails is a row too.
func (b *bench) measure(ctx context.Context) []Row {
	b.say("servers on core %d, load on another; %d rounds of %v", b.core, b.rounds, b.window)
	var rows []Row
	for _, s := range scenarios() {
		if b.only != "" && b.only != s.name {
			continue
		}
		b.say("\n%s: %s", s.name, s.title)
		rows = append(rows, b.row(ctx, s))
	}
	return rows
}

func (b *bench) row(ctx context.Context, s scenario) Row {
	row := Row{Case: s.name, Unit: s.unit, Must: s.must.String()}
	var weir, peer, ratios []float64
	for round := range b.rounds {
		w, p, err := b.round(ctx, s, round)
		if err != nil {
			row.Fault = err.Error()
			return row
		}
		weir, peer, ratios = append(weir, w), append(peer, p), append(ratios, w/p)
		b.say("  round %d: weir %.4g, peer %.4g %s: %.3f", round+1, w, p, s.sampleUnit, w/p)
	}
	row.Figure = median(ratios)
	row.OK = s.must.holds(row.Figure)
	row.Detail = fmt.Sprintf("%.4g ÷ %.4g %s", median(weir), median(peer), s.sampleUnit)
	return row
}

// round measures both; who goes first changes from round to round.
func (b *bench) round(ctx context.Context, s scenario, round int) (weir, peer float64, err error) {
	measure := []func(context.Context, *bench) (sample, error){s.weir, s.peer}
	var got [2]float64
	for i := range measure {
		which := (i + round) % len(measure)
		value, err := measure[which](ctx, b)
		if err != nil {
			return 0, 0, err
		}
		got[which] = float64(value)
	}
	return got[0], got[1], nil
}

func median(values []float64) float64 {
	v := slices.Sorted(slices.Values(values))
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

// folder makes a new folder for a store.
func (b *bench) folder() (string, error) {
	b.serial++
	dir := filepath.Join(b.dir, fmt.Sprintf("store-%d", b.serial))
	return dir, os.Mkdir(dir, 0o700)
}

// fsyncCost is the median of writing and syncing 4 KiB in dir.
func fsyncCost(dir string) (time.Duration, error) {
	f, err := os.CreateTemp(dir, "fsync-")
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	block := make([]byte, 4<<10)
	var costs []float64
	for range 25 {
		start := time.Now()
		if _, err := f.Write(block); err != nil {
			return 0, err
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			return 0, err
		}
		costs = append(costs, float64(time.Since(start)))
	}
	return time.Duration(median(costs)), nil
}
