package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/weirgate/weir/cmd/weir/app"
	"github.com/weirgate/weir/config"
)

// stopBound is how long a stop takes at the most (contract section 1).
const stopBound = 10 * time.Second

// defaultFile is read where --config names none, if it is there.
const defaultFile = "weir.yaml"

func newServe() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the gateway",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(cmd.Context(), path, cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&path, "config", "", "the configuration `file` (default ./"+defaultFile+" if there is one)")
	return cmd
}

// source is where the configuration comes from.
func source(path string) (*config.Source, error) {
	if path == "" {
		_, err := os.Stat(defaultFile)
		switch {
		case err == nil:
			path = defaultFile
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		}
	}
	return &config.Source{Path: path, Environ: os.Environ()}, nil
}

// serve runs the gateway until ctx ends or a part of it fails.
func serve(ctx context.Context, path string, out io.Writer) error {
	src, err := source(path)
	if err != nil {
		return err
	}
	triggers := newTriggers(src)
	defer signal.Stop(triggers.hangup)
	loaded, err := app.Load(src)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(out, nil))
	for _, w := range loaded.Warnings {
		log.Warn(w)
	}
	gateway, err := app.New(&app.Options{Config: loaded, Log: log, Version: version()})
	if err != nil {
		return err
	}
	if err := gateway.Start(ctx); err != nil {
		return err
	}
	fmt.Fprint(out, gateway.Addrs())
	endReloads := triggers.reload(ctx, gateway)
	select {
	case <-ctx.Done():
	case <-gateway.Done():
	}
	endReloads()
	log.Info("stopping")
	bounded, cancel := context.WithTimeout(context.Background(), stopBound)
	defer cancel()
	return gateway.Stop(bounded)
}

// triggers are what a reload follows: SIGHUP, and the file's change.
type triggers struct {
	src    *config.Source
	hangup chan os.Signal
	file   *app.FileWatch
}

// newTriggers begins to note them. It comes before the configuration is read:
// SIGHUP would end the process, and a change would be missed, until it is done.
func newTriggers(src *config.Source) *triggers {
	t := &triggers{src: src, hangup: make(chan os.Signal, 1), file: app.NewFileWatch(src.Path)}
	signal.Notify(t.hangup, syscall.SIGHUP)
	return t
}

// reload reloads on each trigger, until ctx ends or the returned function,
// which waits, is called.
func (t *triggers) reload(ctx context.Context, gateway *app.App) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	reload := func() {
		// Its error is in the log and in the metrics already.
		_ = gateway.Reload(func() (*config.Loaded, error) { return app.Load(t.src) })
	}
	var loops sync.WaitGroup
	loops.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-t.hangup:
				reload()
			}
		}
	})
	if t.src.Path != "" {
		loops.Go(func() { t.file.Run(ctx, reload) })
	}
	return func() {
		cancel()
		loops.Wait()
	}
}
