package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/weirgate/weir/bench/internal/keyed"
	"github.com/weirgate/weir/quota"
)

// quotaBench is a run of `bench quota`: it measures Weir's quota table and what
// it is compared with in turns, in this very process.
type quotaBench struct {
	json, quick bool
	rounds      int
	draws       int // of a round
	clock       *quota.CoarseClock
	rows        []Row
}

// quotaVerb measures and prints; an error if a figure is not as it must be.
func quotaVerb(ctx context.Context, args []string) error {
	b := &quotaBench{rounds: 7, draws: 1 << 20, clock: quota.NewCoarseClock()}
	set := flag.NewFlagSet("bench quota", flag.ContinueOnError)
	set.BoolVar(&b.json, "json", false, "print each row as an object on a line")
	set.BoolVar(&b.quick, "quick", false, "within a minute: a million hosts, Weir and the floor alone")
	if err := set.Parse(args); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	ticked := make(chan error, 1)
	go func() { ticked <- b.clock.Run(ctx) }()
	err := b.measure(ctx)
	stop()
	<-ticked
	if err != nil {
		return err
	}
	if b.json {
		err = printLines(os.Stdout, b.rows)
	} else {
		err = printRows(os.Stdout, b.rows, false)
	}
	return errors.Join(err, verdict(b.rows))
}

// printLines writes a JSON object a line.
func printLines(w io.Writer, rows []Row) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for i := range rows {
		if err := e.Encode(&rows[i]); err != nil {
			return err
		}
	}
	return nil
}

func (b *quotaBench) measure(ctx context.Context) error {
	sizes := []int{1_000_000}
	if !b.quick {
		sizes = append(sizes, 10_000_000)
	}
	b.allocations()
	b.memory(100_000, 64)
	for _, n := range sizes {
		steps := []func(int) error{b.speed, b.flood}
		if n == sizes[len(sizes)-1] {
			steps = append(steps, b.resting)
		}
		if !b.quick && n == 1_000_000 {
			steps = append(steps, b.peers, b.latency)
		}
		for _, step := range steps {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := step(n); err != nil {
				return err
			}
		}
	}
	return nil
}

// add adds a row, told at once.
func (b *quotaBench) add(name string, figure float64, unit string, m must, detail string) {
	r := Row{Case: name, Figure: figure, Unit: unit, Must: m.String(), OK: m.holds(figure), Detail: detail}
	b.rows = append(b.rows, r)
	fmt.Fprintf(os.Stderr, "%s: %.3g %s (%s) %s\n", name, figure, unit, r.Must, detail)
}

// table is a host quota of room for n hosts and a quarter more, all admitted.
func (b *quotaBench) table(maxHosts int) (*quota.Hosts, error) {
	return quota.NewHosts(&quota.HostsConfig{
		Enabled: true, Limit: 1 << 31, Interval: 24 * time.Hour, TTL: 48 * time.Hour,
		CleanPeriod: time.Hour, MaxHosts: maxHosts, Clock: b.clock,
	})
}

func (b *quotaBench) filled(n int) (*quota.Hosts, error) {
	h, err := b.table(n + n/4)
	if err != nil {
		return nil, err
	}
	for i := range uint32(n) {
		h.Check(keyed.Key(i), 1)
	}
	return h, nil
}

// workload is what was drawn, in the forms that are measured: the keys are
// ready, as on the real path, where a connection computes its own once.
type workload struct {
	draws    []uint32
	keys     []quota.Key
	requests []quota.Request
}

func newWorkload(draws []uint32) *workload {
	w := &workload{draws, make([]quota.Key, len(draws)), make([]quota.Request, len(draws))}
	for i, d := range draws {
		w.keys[i] = keyed.Key(d)
		w.requests[i] = quota.Request{Key: w.keys[i], Origin: 1}
	}
	return w
}

func (w *workload) check(h *quota.Hosts) (sum uint64) {
	for _, k := range w.keys {
		sum += uint64(h.Check(k, 1).Used)
	}
	return sum
}

const batch = 32

func (w *workload) batch(h *quota.Hosts) (sum uint64) {
	var out [batch]quota.Decision
	for i := 0; i+batch <= len(w.requests); i += batch {
		h.CheckBatch(w.requests[i:i+batch], out[:])
		sum += uint64(out[0].Used)
	}
	return sum
}

// contest measures things in turns and is the median ratio of each but the
// first to the first, with the first's median ns for each of per operations.
// The order changes from round to round.
func contest(rounds, per int, things ...func()) (ratios []float64, ns float64) {
	all := make([][]float64, len(things))
	for round := range rounds + 1 {
		took := make([]float64, len(things))
		for i := range things {
			at := (i + round) % len(things)
			start := time.Now()
			things[at]()
			took[at] = float64(time.Since(start)) / float64(per)
		}
		if round == 0 {
			continue // warms up
		}
		all[0] = append(all[0], took[0])
		for i := 1; i < len(things); i++ {
			all[i] = append(all[i], took[i]/took[0])
		}
	}
	for _, r := range all[1:] {
		ratios = append(ratios, median(r))
	}
	return ratios, median(all[0])
}

// millions is a number of hosts as a case's name has it.
func millions(n int) string {
	if n < 1_000_000 {
		return fmt.Sprintf("%dk", n/1000)
	}
	return fmt.Sprintf("%dM", n/1_000_000)
}

// quantile of durations in ns.
func quantile(ns []int64, q float64) float64 {
	slices.Sort(ns)
	return float64(ns[int(float64(len(ns)-1)*q)])
}
