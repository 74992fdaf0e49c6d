package app

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// countersFile is where the counters of long windows outlive a restart, in the
// data directory.
const countersFile = "counters"

// saveEvery is how much of a long window a crash can lose.
const saveEvery = time.Minute

// counters is the path of that file; "" with nats.url, where there is no data
// directory.
func (a *App) counters() string {
	n := &a.loaded.Config.NATS
	if n.URL != "" {
		return ""
	}
	return filepath.Join(n.Embedded.Dir, countersFile)
}

// startCounters takes up the counters where the last run left them, and keeps
// them from now on. It comes after the store, which locks the data directory.
func (a *App) startCounters(context.Context) error {
	path := a.counters()
	if path == "" {
		return nil
	}
	if err := a.loadCounters(path); err != nil {
		a.log.Warn("counters of the last run are not taken up", "file", path, "err", err)
	}
	a.undo.push("counters", closeBound, closeRest, func(context.Context) error { return a.saveCounters(path) })
	a.run(func(ctx context.Context) error {
		tick := time.NewTicker(saveEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
			if err := a.saveCounters(path); err != nil {
				a.log.Warn("counters cannot be kept; a restart will begin without them", "err", err)
			}
		}
	})
	return nil
}

func (a *App) loadCounters(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = a.hosts.Load(f)
	return err
}

// saveCounters replaces the file as a whole, so that a crash leaves the old one.
func (a *App) saveCounters(path string) error {
	a.saving.Lock()
	defer a.saving.Unlock()
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = errors.Join(a.hosts.Save(f), f.Sync(), f.Close())
	if err != nil {
		return errors.Join(err, os.Remove(path+".new"))
	}
	return os.Rename(path+".new", path)
}
