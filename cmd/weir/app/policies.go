package app

import (
	"github.com/weirgate/weir/config"
	"github.com/weirgate/weir/quota"
)

// policies translates quota.policies. What is wrong with them has its place.
func policies(loaded *config.Loaded) ([]quota.PolicyConfig, []config.Fault) {
	const path = "quota.policies"
	list := loaded.Config.Quota.Policies
	all := make([]quota.PolicyConfig, len(list))
	for i := range list {
		all[i] = policy(&list[i])
	}
	var faults []config.Fault
	for _, f := range quota.ValidatePolicies(all) {
		faults = append(faults, loaded.Fault(path+f.Path, f.Problem))
	}
	return all, faults
}

// policy translates one. config took no words that quota does not know.
func policy(c *config.Policy) quota.PolicyConfig {
	p := quota.PolicyConfig{Name: c.Name, Key: c.Key, EnforceFrom: c.EnforceFrom}
	p.Level, _ = quota.ParseLevel(c.Level)
	p.Class, _ = quota.ParseClass(c.Class)
	p.Kind, _ = quota.ParseKind(c.Kind)
	p.Mode, _ = quota.ParseMode(c.Mode)
	p.Profile, _ = quota.ParseProfile(c.Profile)
	for _, b := range c.Buckets {
		n := b.Quota
		if n == config.Unlimited {
			n = quota.Unlimited
		}
		p.Buckets = append(p.Buckets, quota.Bucket{Quota: n, Window: b.Window, Sample: b.Sample})
	}
	return p
}
