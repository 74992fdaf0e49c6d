package quota

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// Unlimited is the quota of a bucket that holds any number of requests: it
// limits nothing and is not shown.
const Unlimited uint32 = math.MaxUint32

// Bucket is one quota of a policy.
type Bucket struct {
	// Quota is how many requests Window holds: 0 (none), up to MaxQuota, or
	// Unlimited.
	Quota uint32
	// Window is whole milliseconds, from 1 ms to MaxWindow.
	Window time.Duration
	// Sample, of KindSliding only, is the time over which Quota per Window is
	// held as an average: whole milliseconds, from Window (and 10 ms) to
	// MaxWindow. 0: Window itself.
	Sample time.Duration
}

// PolicyConfig is one policy as it is configured (an item of config's
// quota.policies).
type PolicyConfig struct {
	// Name is unique, [A-Za-z0-9._-]+ and at most 64 bytes. With more than one
	// bucket each is shown as the name, a hyphen and its window in seconds.
	Name  string
	Level Level
	// Key, of LevelCustom only, is what requests are told apart by: topic,
	// transport, clientId, or header: and a field's name. A request without it
	// is not counted.
	Key   string
	Class Class
	Kind  Kind
	// Buckets are at least one; no two have the same window (of KindSliding:
	// sample). All of them have to have room.
	Buckets []Bucket
	Mode    Mode
	// EnforceFrom is when Enforce begins; Shadow until then. Zero: at once.
	EnforceFrom time.Time
	Profile     Profile
}

const (
	maxName   = 64
	nameBytes = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
)

// ValidatePolicies is all that is wrong with policies; the paths of the faults
// begin with the index, as in [1].buckets[0].window.
func ValidatePolicies(policies []PolicyConfig) []Fault {
	var faults []Fault
	shown := map[string]int{HostPolicyName: -1}
	for i := range policies {
		p, at := &policies[i], item("", i)
		for _, f := range p.Validate() {
			faults = append(faults, Fault{at + "." + f.Path, f.Problem})
		}
		for _, name := range append([]string{p.Name}, p.names()...) {
			if first, twice := shown[name]; twice && first != i {
				faults = append(faults, Fault{at + ".name", taken(name, first)})
				break
			}
			shown[name] = i
		}
	}
	return faults
}

func taken(name string, first int) string {
	owner := "the host quota's"
	if first >= 0 {
		owner = "shown by policy " + strconv.Itoa(first+1) + " of the list too"
	}
	return strconv.Quote(name) + " is " + owner + "; expected a name of its own"
}

// Validate is all that is wrong with p by itself; empty if nothing is.
func (p *PolicyConfig) Validate() []Fault {
	v := &validation{}
	v.check("name", p.Name != "" && len(p.Name) <= maxName && strings.Trim(p.Name, nameBytes) == "",
		"expected 1 to 64 letters, digits, dots, underscores and hyphens")
	v.check("level", p.Level < numLevels, ErrLevel.Error())
	v.key(p)
	v.check("class", int(p.Class) < len(classNames), ErrClass.Error())
	v.check("kind", int(p.Kind) < len(kinds), ErrKind.Error())
	v.check("mode", int(p.Mode) < len(modeNames), ErrMode.Error())
	v.check("profile", int(p.Profile) < len(profileNames), ErrProfile.Error())
	v.check("buckets", len(p.Buckets) > 0, "expected at least one {quota, window}")
	seen := map[time.Duration]bool{}
	for i, b := range p.Buckets {
		at := item("buckets", i) + "."
		v.bucket(at, b, p.Kind)
		w := b.span(p.Kind)
		v.check(at+"window", !seen[w], "another bucket of the policy has this window; expected one bucket a window")
		seen[w] = true
	}
	return v.faults
}

// item is the path of the i-th item of the list at path.
func item(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// validation gathers faults.
type validation struct{ faults []Fault }

func (v *validation) check(path string, ok bool, problem string) {
	if !ok {
		v.faults = append(v.faults, Fault{path, problem})
	}
}

func (v *validation) key(p *PolicyConfig) {
	if p.Level != LevelCustom {
		v.check("key", p.Key == "", "only level custom has a key; expected nothing")
		return
	}
	_, _, ok := parseSource(p.Key)
	v.check("key", ok, "expected topic, transport, clientId, or header: and a field name, as in header:X-Tenant")
}

func (v *validation) bucket(at string, b Bucket, k Kind) {
	v.check(at+"quota", b.Quota <= MaxQuota || b.Quota == Unlimited,
		"expected 0 (none) to "+strconv.Itoa(MaxQuota)+", or null (unlimited)")
	windowed := isWindow(b.Window)
	v.check(at+"window", windowed, "expected whole milliseconds, from 1ms to 720h")
	if k != KindSliding {
		v.check(at+"sample", b.Sample == 0, "only kind sliding has a sample; expected none")
		return
	}
	sampled := isWindow(b.span(k)) && b.span(k) >= max(b.Window, minSliding*time.Millisecond)
	v.check(at+"sample", sampled || !windowed,
		"expected whole milliseconds, at least the window and 10ms, at most 720h")
	if windowed && sampled && b.Quota <= MaxQuota {
		v.check(at+"quota", b.held(k) <= maxSliding,
			"a sliding window would hold "+strconv.FormatUint(b.held(k), 10)+" in its sample; expected at most "+
				strconv.Itoa(maxSliding))
	}
}

func isWindow(d time.Duration) bool {
	return d >= time.Millisecond && d <= MaxWindow && d%time.Millisecond == 0
}

// span is the time in which the bucket holds what held says.
func (b Bucket) span(k Kind) time.Duration {
	if k == KindSliding && b.Sample != 0 {
		return b.Sample
	}
	return b.Window
}

// held is how many requests span holds; under 2^60.
func (b Bucket) held(k Kind) uint64 {
	return uint64(b.Quota) * uint64(b.span(k)/time.Millisecond) / uint64(b.Window/time.Millisecond)
}

// names are how the policy's buckets are shown.
func (p *PolicyConfig) names() []string {
	names := make([]string, len(p.Buckets))
	for i, b := range p.Buckets {
		names[i] = p.Name
		if len(p.Buckets) > 1 {
			names[i] += "-" + strconv.FormatFloat(b.span(p.Kind).Seconds(), 'f', -1, 64)
		}
	}
	return names
}

// limits are the policies in force that p makes, one for each bucket that
// limits anything.
func (p *PolicyConfig) limits() []*Policy {
	var all []*Policy
	for i, name := range p.names() {
		b := p.Buckets[i]
		if b.Quota == Unlimited {
			continue
		}
		all = append(all, &Policy{
			Name: name, Level: p.Level, Class: p.Class, Kind: p.Kind, Profile: p.Profile,
			Quota: uint32(b.held(p.Kind)), Window: b.span(p.Kind), Bucket: b,
		})
	}
	return all
}
