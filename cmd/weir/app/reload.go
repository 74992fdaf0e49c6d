package app

import (
	"strings"
	"sync/atomic"

	"github.com/weirgate/weir/config"
	"github.com/weirgate/weir/quota"
)

// reloads counts what became of reloads.
type reloads struct {
	ok, failed atomic.Uint64
	last       atomic.Int64 // Unix seconds of the last that was applied, the start's included
}

// Reload puts what a running gateway can change into force: limits, lists, the
// report's settings and the listed devices. No connection is dropped, no counter
// lost. With a fault everything stays as it was. load is called under the lock
// of reloads, so that the last caller's configuration is the one in force.
func (a *App) Reload(load func() (*config.Loaded, error)) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.reload(load); err != nil {
		a.reloads.failed.Add(1)
		a.log.Error("configuration not reloaded; the old one stays in force", "err", err)
		return err
	}
	a.reloads.ok.Add(1)
	a.reloads.last.Store(a.clock.Now().Unix())
	return nil
}

func (a *App) reload(load func() (*config.Loaded, error)) error {
	loaded, err := load()
	if err != nil {
		return err
	}
	p, err := newPlan(loaded)
	if err != nil {
		return err
	}
	if err := a.known.Reload(p.listed); err != nil {
		return err
	}
	if err := a.hosts.Reload(&p.quota); err != nil {
		return err
	}
	if err := a.policies.Reload(&quota.EngineConfig{Policies: p.policies}); err != nil {
		return err
	}
	a.lists.Set(p.allow, p.deny)
	a.denied.Store(uint32(p.quota.Profile))
	log := &loaded.Config.Quota.Log
	a.events.SetLog(log.TopSize, log.Interval())
	if a.mqtt != nil {
		a.mqtt.Recheck() // live sessions of hosts and devices that are no longer welcome
	}
	a.tellReload(loaded)
	a.current = loaded
	return nil
}

// tellReload logs what changed, and what will only with a restart.
func (a *App) tellReload(loaded *config.Loaded) {
	for _, w := range loaded.Warnings {
		a.log.Warn(w)
	}
	changed := config.Changed(a.current.Config, loaded.Config)
	a.log.Info("configuration reloaded", "changed", strings.Join(changed, " "))
	if wait := config.Restart(a.current.Config, loaded.Config); len(wait) > 0 {
		a.log.Warn("these changes wait for a restart", "keys", strings.Join(wait, " "))
	}
}
