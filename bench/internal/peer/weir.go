package peer

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/weirgate/weir/cmd/weir/app"
	"github.com/weirgate/weir/config"
	"github.com/weirgate/weir/transports"
)

// Weir is the gateway of a configuration file with its store replaced by one that
// keeps nothing and completes at once: everything that a message costs but the
// store.
func Weir(ctx context.Context, file string) error {
	loaded, err := config.Load(&config.Source{Path: file})
	if err != nil {
		return err
	}
	gateway, err := app.New(&app.Options{
		Config: loaded, Version: "bench", Store: nullStore{},
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		return err
	}
	if err := gateway.Start(ctx); err != nil {
		return err
	}
	fmt.Fprint(os.Stderr, gateway.Ready(""))
	select {
	case <-ctx.Done():
	case <-gateway.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return gateway.Stop(stopping)
}

// nullStore completes each message within Submit.
type nullStore struct{}

func (nullStore) Submit(_ *transports.Message, c transports.Completer, tag uint64) error {
	c.Complete(tag, nil)
	return nil
}

func (nullStore) Bury(_ *transports.Message, _ string, c transports.Completer, tag uint64) error {
	c.Complete(tag, nil)
	return nil
}
