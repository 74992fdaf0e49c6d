// Command bench measures Weir beside its peers on this machine: the server on
// one core, the load on another, both taking turns in one run, so that what is
// told is a ratio and not a figure of this machine. README.md says how to read it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	code := run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// options are the flags of `bench wire`.
type options struct {
	json  bool
	quick bool
	only  string
	dir   string
	weir  string
	core  int
}

func (o *options) flags(verb string) *flag.FlagSet {
	set := flag.NewFlagSet("bench "+verb, flag.ContinueOnError)
	set.BoolVar(&o.json, "json", false, "print the rows as JSON")
	set.BoolVar(&o.quick, "quick", false, "one short round: does it work, not how fast it is")
	set.StringVar(&o.only, "only", "", "measure one case: http, coap, mqtt or store")
	set.StringVar(&o.dir, "dir", "", "where stores keep their files; on a real disk (default: the system's folder for temporary files)")
	set.StringVar(&o.weir, "weir", "", "a weir binary for the store case (default: built from this checkout)")
	return set
}

const usage = `usage: bench wire [-json] [-quick] [-only http|coap|mqtt|store] [-dir DIR] [-weir BINARY]
       bench quota [-json] [-quick]
`

// run is the exit code: 0 all is as it must be, 1 something is not, 2 usage.
func run(ctx context.Context, args []string) int {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, usage)
		return 2
	}
	err := dispatch(ctx, args[0], args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	return 0
}
