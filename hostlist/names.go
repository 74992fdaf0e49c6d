package hostlist

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// state is how the last look-up of a name went. The log is told of changes.
type state uint8

const (
	unknown  state = iota // never asked
	working               // the answer is taken
	failing               // no answer: the last good one is kept
	sinkhole              // some addresses are this machine's or nobody's: left out
	overlong              // more than maxNameAddrs addresses: the lowest are taken
)

// name is a host name that stands on a list.
type name struct {
	text     string
	listings []*listing   // at least one
	addrs    []netip.Addr // the last good answer: canonical, ascending, none twice
	due      time.Time    // when to ask again; zero if never asked
	state    state
	local    bool // localhost: never asked
}

func newName(text string) *name {
	n := &name{text: text, local: text == "localhost" || strings.HasSuffix(text, ".localhost")}
	if n.local {
		// RFC 6761 6.3: these names are loopback's, whatever DNS says.
		n.addrs = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	}
	return n
}

// denied tells whether n is on the black list.
func (n *name) denied() bool { return slices.ContainsFunc(n.listings, (*listing).soft) }

// answer is what a look-up gave. Without addresses it is no good answer.
type answer struct {
	addrs []netip.Addr
	state state
	err   error // of a failing look-up
}

// judge makes an answer of what a resolver said of n.
func (n *name) judge(found []netip.Addr, err error) answer {
	if err != nil || len(found) == 0 {
		return answer{state: failing, err: err}
	}
	a := answer{state: working, addrs: make([]netip.Addr, 0, len(found))}
	denied := n.denied()
	for _, addr := range found {
		addr = Canonical(addr)
		switch {
		case !addr.IsValid():
			continue
		case addr.IsUnspecified():
			a.state = sinkhole
			continue
		case addr.IsLoopback() && denied:
			// Kept all the same: the name may be on the white list too.
			a.state = sinkhole
		}
		a.addrs = append(a.addrs, addr)
	}
	slices.SortFunc(a.addrs, netip.Addr.Compare)
	a.addrs = slices.Compact(a.addrs)
	if len(a.addrs) > maxNameAddrs {
		a.addrs, a.state = slices.Clone(a.addrs[:maxNameAddrs]), overlong
	}
	return a
}

// Warning is what the operator should know of a host name.
type Warning struct {
	Name    string // the name, as the lists have it
	Problem string // what is wrong with it, and what happens now
	Err     error  // of the look-up; may be nil
}

func (w Warning) String() string {
	s := "host name " + w.Name + " " + w.Problem
	if w.Err != nil {
		s += ": " + w.Err.Error()
	}
	return s
}

var problems = [...]string{
	unknown:  "",
	working:  "",
	failing:  "does not resolve; its last known addresses stay listed",
	sinkhole: "resolves to this machine or to no host, as blocked names do; those addresses are not listed",
	overlong: "has more addresses than are listed",
}

// learn takes the answer for n, unless n is no longer listed. It tells the
// Warning, and whether n's state is another than before.
func (l *Lists) learn(n *name, found []netip.Addr, err error) (w Warning, changed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.names[n.text] != n {
		return w, false
	}
	a := n.judge(found, err)
	if len(a.addrs) > 0 && !slices.Equal(a.addrs, n.addrs) {
		l.move(n, a.addrs)
		l.publish()
	}
	n.due = l.cfg.Now().Add(l.pause())
	// A name that works from the first is no news.
	changed = n.state != a.state && (n.state != unknown || a.state != working)
	n.state = a.state
	return Warning{Name: n.text, Problem: problems[a.state], Err: a.err}, changed
}

// move takes n's listings to other addresses.
func (l *Lists) move(n *name, addrs []netip.Addr) {
	for _, x := range n.listings {
		l.sites.remove(x, l.places(x))
	}
	n.addrs = addrs
	for _, x := range n.listings {
		l.sites.add(x, l.places(x))
	}
}
