package quota

import (
	"hash/maphash"
	"strconv"
	"sync/atomic"
)

// plan is the policies in force, in the form that requests use. It is immutable,
// but for the counters that its limits point to.
type plan struct {
	groups []*group
	// classes are the groups that apply to a request of each class.
	classes [len(classNames)][]*group
	limits  map[uint64]*limit // by salt
	levels  uint8             // of the groups, a bit each Level
	longest int64             // of all windows, in milliseconds; at least a second
}

// group is the limits of one policy.
type group struct {
	level       Level
	source      source // of LevelCustom
	header      string
	class       Class
	mode        Mode
	enforceFrom int64 // Unix ms
	limits      []*limit
}

// shadow tells whether the group only watches at now.
func (g *group) shadow(now int64) bool { return g.mode == Shadow || now < g.enforceFrom }

// limit is one bucket in force.
type limit struct {
	policy *Policy
	arithmetic
	shape
	// salt tells the limit from all others, and is the same after a reload that
	// changes no more of it than its quota, mode, date and profile: so its
	// counters go on.
	salt  uint64
	tally *policyTally
}

// policyTally counts what became of requests under a limit.
type policyTally struct{ admitted, refused, shadowed atomic.Uint64 }

// newPlan compiles policies, which are valid; counters of before's limits that
// stay go on. before may be nil.
func newPlan(policies []PolicyConfig, seed maphash.Seed, before *plan) *plan {
	p := &plan{limits: map[uint64]*limit{}, longest: 1000}
	for i := range policies {
		g := newGroup(&policies[i], seed)
		if len(g.limits) == 0 {
			continue
		}
		p.groups = append(p.groups, g)
		p.levels |= 1 << g.level
		for _, l := range g.limits {
			if before != nil && before.limits[l.salt] != nil {
				l.tally = before.limits[l.salt].tally
			}
			p.limits[l.salt] = l
			p.longest = max(p.longest, l.window)
		}
		for c := range p.classes {
			if g.class == Total || g.class == Class(c) {
				p.classes[c] = append(p.classes[c], g)
			}
		}
	}
	return p
}

func newGroup(c *PolicyConfig, seed maphash.Seed) *group {
	g := &group{level: c.Level, class: c.Class, mode: c.Mode}
	g.source, g.header, _ = parseSource(c.Key)
	if !c.EnforceFrom.IsZero() {
		g.enforceFrom = c.EnforceFrom.UnixMilli()
	}
	for _, p := range c.limits() {
		l := &limit{
			policy: p, arithmetic: kinds[p.Kind].arithmetic, shape: newShape(p), tally: &policyTally{},
		}
		l.salt = maphash.String(seed, c.Name+" "+c.Level.String()+" "+c.Key+" "+c.Class.String()+" "+
			c.Kind.String()+" "+strconv.FormatInt(l.window, 10))
		g.limits = append(g.limits, l)
	}
	return g
}
