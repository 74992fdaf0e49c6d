package config

import (
	"math"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Policy is an item of quota.policies, in the words of the file. What they
// demand of each other package quota knows.
type Policy struct {
	Name        string    // name: how the RateLimit fields show it; required
	Level       string    // level: system, account, device, host, client or custom; required
	Key         string    // key, of level custom: topic, transport, clientId or header:NAME
	Class       string    // class: total (default), connects, messages or reads
	Kind        string    // kind: fixed (default), clock, sliding or token
	Buckets     []Bucket  // buckets: at least one
	Mode        string    // mode: enforce (default) or shadow
	EnforceFrom time.Time // enforceFrom: shadow until then; zero: never was
	Profile     string    // profile: standard (default), thingsboard or bandwidth
}

// Bucket is a quota of a Policy.
type Bucket struct {
	Quota  uint32        // quota: 0 (none) to 268435455, or Unlimited; required
	Window time.Duration // window: 1 ms to 30 days; required
	Sample time.Duration // sample, of kind sliding: the time averaged over; 0: Window
}

// Unlimited is a Bucket.Quota that limits nothing: null in the file.
const Unlimited uint32 = math.MaxUint32

// maxQuota is the largest quota of a bucket: package quota counts in 28 bits.
const maxQuota = 1<<28 - 1

func policies(dst *[]Policy) *objects[Policy] {
	return &objects[Policy]{dst: dst, keys: policyKeys, initial: Policy{
		Class: "total", Kind: "fixed", Buckets: []Bucket{}, Mode: "enforce", Profile: "standard",
	}}
}

func policyKeys(p *Policy) []*key {
	return []*key{
		leaf("name", text(&p.Name)),
		leaf("level", oneOf(&p.Level, "system", "account", "device", "host", "client", "custom")),
		leaf("key", optional(text(&p.Key), `""`)),
		leaf("class", oneOf(&p.Class, "total", "connects", "messages", "reads")),
		leaf("kind", oneOf(&p.Kind, "fixed", "clock", "sliding", "token")),
		leaf("buckets", buckets(&p.Buckets)),
		leaf("sample", &oneBucket{buckets(&p.Buckets)}),
		leaf("mode", oneOf(&p.Mode, "enforce", "shadow")),
		leaf("enforceFrom", date(&p.EnforceFrom)),
		leaf("profile", oneOf(&p.Profile, "standard", "thingsboard", "bandwidth")),
	}
}

func buckets(dst *[]Bucket) *objects[Bucket] {
	return &objects[Bucket]{dst: dst, keys: bucketKeys, short: pairs}
}

func bucketKeys(b *Bucket) []*key {
	const shortest, longest = time.Millisecond, 30 * day
	return []*key{
		leaf("quota", allowance{whole(&b.Quota, 0, maxQuota), &b.Quota}),
		leaf("window", duration(&b.Window, shortest, longest)),
		leaf("sample", optional(duration(&b.Sample, shortest, longest), "0s")),
	}
}

// pairs reads ThingsBoard's form of rate limits, capacity:seconds with commas
// between them, as in 10:1,300:60.
func pairs(text string) ([]Bucket, bool) {
	var all []Bucket
	for pair := range strings.SplitSeq(text, ",") {
		capacity, seconds, found := strings.Cut(strings.TrimSpace(pair), ":")
		n, err := strconv.ParseUint(capacity, 10, 28)
		s, err2 := strconv.ParseUint(seconds, 10, 28)
		if !found || err != nil || err2 != nil || s < 1 || s > uint64(30*day/time.Second) {
			return nil, false
		}
		all = append(all, Bucket{Quota: uint32(n), Window: time.Duration(s) * time.Second})
	}
	return all, true
}

// oneBucket is a bucket written by itself: one more of the list.
type oneBucket struct{ list *objects[Bucket] }

func (o *oneBucket) read(r *reader, in input) { *o.list.dst = append(*o.list.dst, o.list.item(r, in)) }

// show is nothing: the list shows it.
func (o *oneBucket) show(view) string { return "" }

// allowance is a quota: a number, or unlimited.
type allowance struct {
	*scalar
	dst *uint32
}

func (a allowance) read(r *reader, in input) {
	text := strings.TrimSpace(in.node.Value)
	null := in.node.Tag == nullTag
	if in.node.Kind == yaml.ScalarNode && (null || text == "∞" || text == "unlimited") {
		*a.dst = Unlimited
		return
	}
	if in.node.Kind == yaml.ScalarNode && text == "none" {
		*a.dst = 0
		return
	}
	a.scalar.read(r, in)
}

func (a allowance) show(v view) string {
	if *a.dst == Unlimited {
		return "null"
	}
	return a.scalar.show(v)
}

// optional is s, shown as nothing where it stands at what zero shows.
func optional(s *scalar, zero string) *scalar {
	format := s.format
	s.format = func() string {
		if out := format(); out != zero {
			return out
		}
		return ""
	}
	return s
}

// date is a day, which begins at midnight UTC, or an RFC 3339 time.
func date(dst *time.Time) *scalar {
	return &scalar{
		expected: "a date such as 2027-01-01, or an RFC 3339 time",
		parse: func(s string) string {
			for _, layout := range []string{time.DateOnly, time.RFC3339} {
				if t, err := time.Parse(layout, strings.TrimSpace(s)); err == nil {
					*dst = t.UTC()
					return outOfTime(*dst)
				}
			}
			return "is not a date"
		},
		format: func() string {
			switch {
			case dst.IsZero():
				return ""
			case dst.Equal(dst.Truncate(day)):
				return dst.Format(time.DateOnly)
			}
			return dst.Format(time.RFC3339Nano)
		},
	}
}

// outOfTime says what is wrong with a date that no calendar here reaches.
func outOfTime(t time.Time) string {
	if t.Year() < 1970 || t.Year() > 9999 {
		return "is out of range"
	}
	return ""
}

// policies: what a policy cannot be without, and only the file tells.
func (r *rules) policies(list []Policy) {
	for i := range list {
		at := index("quota.policies", i)
		r.written(at+".name", "a name of its own")
		r.written(at+".level", "system, account, device, host, client or custom")
		for j, b := range list[i].Buckets {
			bucket := index(at+".buckets", j)
			if r.l.places[bucket] == "" {
				continue // not written as an item of its own
			}
			r.written(bucket+".quota", "a number of requests, or null for any")
			if b.Window == 0 {
				r.written(bucket+".window", "a duration such as 1s")
			}
		}
	}
}

// written tells a fault if nothing stands at path.
func (r *rules) written(path, expected string) {
	if _, ok := r.l.places[path]; !ok {
		r.fault(path, "is missing; expected "+expected)
	}
}
