package app

import (
	"errors"
	"slices"
	"strconv"

	"github.com/weirgate/weir/bus"
	"github.com/weirgate/weir/config"
	"github.com/weirgate/weir/devices"
	"github.com/weirgate/weir/hostlist"
	"github.com/weirgate/weir/quota"
)

// plan is a configuration in the rooms' own words: what a reload may change.
type plan struct {
	quota       quota.HostsConfig
	policies    []quota.PolicyConfig
	allow, deny []hostlist.Entry
	listed      []devices.Listed
}

// newPlan translates a configuration. Its error holds the faults of every
// room's own validator, each with its place in the file.
func newPlan(loaded *config.Loaded) (*plan, error) {
	c := &loaded.Config
	p := &plan{quota: hostsConfig(&c.Quota.Host)}
	var faults []config.Fault
	for _, f := range p.quota.Validate() {
		faults = append(faults, loaded.Fault("quota.host."+f.Path, f.Problem))
	}
	var bad []config.Fault
	p.policies, bad = policies(loaded)
	faults = append(faults, bad...)
	p.allow, bad = entries(loaded, "quota.host.whitelist", c.Quota.Host.Whitelist)
	faults = append(faults, bad...)
	p.deny, bad = entries(loaded, "quota.host.blacklist", c.Quota.Host.Blacklist)
	faults = append(faults, bad...)
	for _, d := range c.Devices.List {
		p.listed = append(p.listed, devices.Listed{Account: d.Account, Device: d.Device, Token: d.Token})
	}
	faults = append(faults, deviceFaults(loaded, p.listed)...)
	if err := config.NewFaultsError(faults); err != nil {
		return nil, err
	}
	return p, nil
}

func hostsConfig(c *config.HostQuota) quota.HostsConfig {
	profile, _ := quota.ParseProfile(c.Profile) // config took no other
	return quota.HostsConfig{
		Enabled: c.Enabled, Limit: c.Limit, Interval: c.Interval, TTL: c.TTL,
		CleanPeriod: c.CleanPeriod, MaxHosts: c.MaxHosts, Profile: profile,
	}
}

// entries parses a list of hosts that stands at path.
func entries(loaded *config.Loaded, path string, texts []string) ([]hostlist.Entry, []config.Fault) {
	all := make([]hostlist.Entry, 0, len(texts))
	var faults []config.Fault
	for i, text := range texts {
		e, err := hostlist.ParseEntry(text)
		if err != nil {
			faults = append(faults, loaded.Fault(path+"["+strconv.Itoa(i)+"]", err.Error()))
			continue
		}
		all = append(all, e)
	}
	return all, faults
}

// deviceFaults is what the directory would refuse of a list.
func deviceFaults(loaded *config.Loaded, listed []devices.Listed) []config.Fault {
	_, err := devices.New(&devices.Config{List: listed})
	joined, several := err.(interface{ Unwrap() []error })
	errs := []error{err}
	if several {
		errs = joined.Unwrap()
	}
	var faults []config.Fault
	for _, err := range errs {
		var f *devices.Fault
		if errors.As(err, &f) {
			faults = append(faults, loaded.Fault("devices."+f.Path, f.Problem))
		}
	}
	return faults
}

// busConfig is the store's part of a configuration.
func busConfig(c *config.NATS) *bus.Config {
	b := &bus.Config{
		URL: c.URL, CredentialsFile: c.Credentials,
		TLS: bus.TLSConfig{CA: c.TLS.CA, Cert: c.TLS.Cert, Key: c.TLS.Key},
		Embedded: bus.EmbeddedConfig{
			Listen: c.Embedded.Listen, Dir: c.Embedded.Dir,
			TLSCert: c.Embedded.TLS.Cert, TLSKey: c.Embedded.TLS.Key,
		},
		Up: bus.UpConfig{MaxAge: c.Up.MaxAge, MaxBytes: c.Up.MaxBytes, Replicas: c.Up.Replicas},
	}
	if c.Embedded.Sync == config.SyncInterval {
		b.Embedded.Sync = bus.SyncInterval
	}
	if c.Up.WhenFull == config.Refuse {
		b.Up.WhenFull = bus.Refuse
	}
	for _, u := range c.Embedded.Users {
		b.Embedded.Users = append(b.Embedded.Users, bus.User{Name: u.User, Password: u.Password})
	}
	return b
}

// Load is config.Load, whose faults are told together with those that only the
// rooms can see: what it returns without an error, New takes.
func Load(src *config.Source) (*config.Loaded, error) {
	loaded, err := config.Load(src)
	rest := loaded
	var known, more *config.FaultsError
	if errors.As(err, &known) {
		rest = known.Rest
	}
	if rest == nil {
		return nil, err
	}
	if _, err := newPlan(rest); !errors.As(err, &more) {
		more = &config.FaultsError{}
	}
	if known == nil {
		known = &config.FaultsError{}
	}
	all := union(known.Faults, more.Faults)
	if len(all) > 0 {
		return nil, config.NewFaultsError(all)
	}
	return loaded, nil
}

// union is a and those of b whose key a does not name.
func union(a, b []config.Fault) []config.Fault {
	all := slices.Clone(a)
	for _, f := range b {
		if !slices.ContainsFunc(a, func(k config.Fault) bool { return k.Path == f.Path }) {
			all = append(all, f)
		}
	}
	return all
}
