package app

import (
	"crypto/rand"

	"github.com/weirgate/weir/config"
	"github.com/weirgate/weir/devices"
	"github.com/weirgate/weir/hostlist"
	"github.com/weirgate/weir/quota"
	"github.com/weirgate/weir/transports"
)

// makeRooms makes the rooms that open nothing.
func (a *App) makeRooms(p *plan) error {
	c := &a.loaded.Config
	a.lists = hostlist.New(&hostlist.Config{Log: a.log})
	a.lists.Set(p.allow, p.deny)

	hosts := p.quota
	hosts.Clock = a.clock
	hosts.OnTransition = func(t quota.Transition) { a.events.Transition(t) }
	var err error
	if a.hosts, err = quota.NewHosts(&hosts); err != nil {
		return err
	}
	a.policies, err = quota.NewEngine(&quota.EngineConfig{
		Policies: p.policies, Clock: a.clock, OnTransition: hosts.OnTransition,
	})
	if err != nil {
		return err
	}
	mode := devices.Open
	if c.Devices.Auth == config.AuthToken {
		mode = devices.Token
	}
	a.known, err = devices.New(&devices.Config{Mode: mode, List: p.listed, MaxOpen: c.Devices.MaxOpen})
	if err != nil {
		return err
	}
	a.denied.Store(uint32(p.quota.Profile))
	return nil
}

// makeGate makes the Gate over store and caller.
func (a *App) makeGate(store transports.Store, caller transports.Caller) {
	a.gate = transports.NewGate(&transports.GateConfig{
		Lists: a.lists, Quota: a.hosts, Policies: a.policies, Directory: a.known,
		Store: store, Caller: caller, Classify: classify,
		Now:           a.clock.Now,
		IPv6Prefix:    a.loaded.Config.Quota.Host.IPv6Prefix,
		DeniedProfile: a.profile,
	})
}

// profile is the profile of quota.host, which denied hosts are answered by
// whether or not the quota is on.
func (a *App) profile() quota.Profile { return quota.Profile(a.denied.Load()) }

// partitionKeys hide whose quota the RateLimit fields tell of, with a secret
// of this process.
func (a *App) partitionKeys() *transports.PartitionKeys {
	secret := make([]byte, 32)
	rand.Read(secret)
	return transports.NewPartitionKeys(secret, a.loaded.Config.Quota.PartitionKey == config.IdentityKey)
}
