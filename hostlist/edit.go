package hostlist

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
)

// Errors of Put.
var (
	// ErrFull says that what Put lists would have more than Config.MaxPut prefixes.
	ErrFull = errors.New("hostlist: the lists are full: delete entries, or list a prefix in place of its hosts")
	// ErrEntry says that an Entry is the zero Entry.
	ErrEntry = errors.New("hostlist: the entry is empty: make it with ParseEntry")
)

// Set makes allow and deny the configured entries, in place of those of the
// last Set, at one stroke; what Put listed stays. Names that stay keep their
// resolved addresses; Run, or Resolve, resolves the new ones. The number of
// entries is bounded only by the operator's own file.
func (l *Lists) Set(allow, deny []Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.set
	l.set = make([]*listing, 0, len(allow)+len(deny))
	for _, e := range allow {
		l.configure(Allow, e)
	}
	for _, e := range deny {
		l.configure(Deny, e)
	}
	// Only now, so that a name of both has not been forgotten in between.
	for _, x := range old {
		l.drop(x)
	}
	l.settle()
}

func (l *Lists) configure(list List, e Entry) {
	if e.kind != 0 {
		l.set = append(l.set, l.stand(&listing{entry: e, list: list}))
	}
}

// Put lists e besides what Set listed, at once, in place of an entry for the
// same hosts that an earlier Put listed there. Its errors are ErrFull and
// ErrEntry; the lists are then as before.
func (l *Lists) Put(list List, e Entry) error {
	if e.kind == 0 {
		return ErrEntry
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep()
	old := l.find(list, &e)
	if old == nil && l.weight+e.weight() > l.cfg.MaxPut {
		return ErrFull
	}
	l.stand(&listing{entry: e, list: list, put: true})
	if old != nil {
		l.drop(old)
	}
	l.settle()
	return nil
}

// Delete takes back, at once, what Put listed for the same hosts as e; what Set
// listed stays. It tells whether there was such an entry.
func (l *Lists) Delete(list List, e Entry) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep()
	old := l.find(list, &e)
	if old != nil {
		l.drop(old)
	}
	l.settle()
	return old != nil
}

// find is what Put listed for e's hosts; nil if nothing.
func (l *Lists) find(list List, e *Entry) *listing {
	for _, x := range l.standing(e) {
		if x.put && x.list == list && x.entry.same(e) {
			return x
		}
	}
	return nil
}

// standing are the listings among which one of e would be.
func (l *Lists) standing(e *Entry) []*listing {
	if e.kind == Name {
		if n := l.names[e.name]; n != nil {
			return n.listings
		}
		return nil
	}
	if places := e.appendPrefixes(nil); len(places) > 0 {
		return l.sites.at[places[0]]
	}
	return nil
}

// stand lists x.
func (l *Lists) stand(x *listing) *listing {
	if len(x.entry.Reason) > MaxReason {
		x.entry.Reason = strings.ToValidUTF8(x.entry.Reason[:MaxReason], "")
	}
	if x.entry.kind == Name {
		l.join(x)
	}
	l.sites.add(x, l.places(x))
	l.queue.add(x)
	l.entries[x.list]++
	if x.put {
		l.weight += x.entry.weight()
	}
	return x
}

// drop takes x from its list, if that has not been done before.
func (l *Lists) drop(x *listing) {
	if x.gone {
		return
	}
	x.gone = true
	l.sites.remove(x, l.places(x))
	l.queue.remove(x)
	l.entries[x.list]--
	if x.put {
		l.weight -= x.entry.weight()
	}
	if x.entry.kind == Name {
		l.leave(x)
	}
}

// places are the prefixes at which x stands now.
func (l *Lists) places(x *listing) []netip.Prefix {
	if x.entry.kind != Name {
		return x.entry.appendPrefixes(nil)
	}
	n := l.names[x.entry.name]
	places := make([]netip.Prefix, 0, len(n.addrs))
	for _, a := range n.addrs {
		if x.soft() && a.IsLoopback() && !n.local {
			continue
		}
		places = append(places, full(a))
	}
	return places
}

// join makes x one of its name's listings.
func (l *Lists) join(x *listing) {
	n := l.names[x.entry.name]
	if n == nil {
		n = newName(x.entry.name)
		l.names[n.text] = n
	}
	n.listings = append(n.listings, x)
	if n.due.IsZero() {
		ring(l.unasked)
	}
}

// leave forgets x, and the name with its last listing.
func (l *Lists) leave(x *listing) {
	n := l.names[x.entry.name]
	n.listings = slices.DeleteFunc(n.listings, func(y *listing) bool { return x == y })
	if len(n.listings) == 0 {
		delete(l.names, n.text)
	}
}

// settle ends a change: what has expired goes, the rest is published.
func (l *Lists) settle() {
	l.sweep()
	l.publish()
	ring(l.expiring)
}

// sweep drops what has expired.
func (l *Lists) sweep() {
	now := l.cfg.Now()
	for x := l.queue.due(now); x != nil; x = l.queue.due(now) {
		l.drop(x)
	}
}
