package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/weirgate/weir/bench/internal/load"
	"github.com/weirgate/weir/bench/internal/peer"
	"github.com/weirgate/weir/bench/internal/proc"
)

// The verbs that this program calls itself with.
const (
	driveVerb = "drive" // wire, once it is pinned
	peerVerb  = "peer"
)

func dispatch(ctx context.Context, verb string, args []string) error {
	switch verb {
	case "wire":
		return wire(ctx, args)
	case "quota":
		return quotaVerb(ctx, args)
	case driveVerb:
		return drive(ctx, args)
	case peerVerb:
		return runPeer(ctx, args)
	case proc.PinVerb:
		return proc.Pin(args)
	}
	return fmt.Errorf("no such verb: %s\n%s", verb, usage)
}

// wire prepares what a run needs while it may still use every core, then becomes
// drive on the core of the load.
func wire(ctx context.Context, args []string) error {
	var o options
	if err := o.flags("wire").Parse(args); err != nil {
		return err
	}
	server, client, err := proc.Cores()
	if err != nil {
		return err
	}
	scratch, err := os.MkdirTemp(o.dir, "weir-bench-")
	if err != nil {
		return err
	}
	binary := o.weir
	if binary == "" {
		binary = filepath.Join(scratch, "weir")
		if err := build(ctx, binary); err != nil {
			return errors.Join(err, os.RemoveAll(scratch))
		}
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args = append(args, "-dir", scratch, "-weir", binary)
	return proc.Pin(append([]string{strconv.Itoa(client), self, driveVerb, "-core", strconv.Itoa(server)}, args...))
}

// build makes the weir binary as it is released, in its own module: with the
// versions that it is released with.
func build(ctx context.Context, out string) error {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/weirgate/weir").Output()
	if err != nil {
		return fmt.Errorf("where Weir's source is: %w", err)
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-C", strings.TrimSpace(string(root)),
		"-tags", "nomsgpack", "-trimpath", "-o", out, "./cmd/weir")
	cmd.Stderr = os.Stderr
	return cmd.Run()
}

// drive measures; its -dir is a folder of its own, which it removes.
func drive(ctx context.Context, args []string) error {
	var o options
	set := o.flags(driveVerb)
	set.IntVar(&o.core, "core", 0, "the core of the servers")
	if err := set.Parse(args); err != nil {
		return err
	}
	defer os.RemoveAll(o.dir)
	b, err := newBench(&o)
	if err != nil {
		return err
	}
	rows := b.measure(ctx)
	if err := printRows(os.Stdout, rows, o.json); err != nil {
		return err
	}
	return verdict(rows)
}

// runPeer is a server in a process of its own.
func runPeer(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("usage: bench peer gin | atomic | weir")
	}
	set := flag.NewFlagSet("bench peer "+args[0], flag.ContinueOnError)
	dir := set.String("dir", "", "atomic: an empty folder for JetStream's files")
	duration := set.Duration("for", 3*time.Second, "atomic: how long to publish")
	file := set.String("config", "", "weir: the configuration")
	if err := set.Parse(args[1:]); err != nil {
		return err
	}
	switch args[0] {
	case "gin":
		return peer.Gin(ctx)
	case "atomic":
		return peer.Atomic(ctx, &peer.AtomicConfig{
			Dir: *dir, Duration: *duration, Batch: 1000, Payload: []byte(load.Reading),
		}, os.Stdout)
	case "weir":
		return peer.Weir(ctx, *file)
	}
	return fmt.Errorf("no such peer: %s", args[0])
}
