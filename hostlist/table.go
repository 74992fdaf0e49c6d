package hostlist

import (
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"
)

// snapshot is what the lists say at one moment. It is never changed once it is
// published.
type snapshot struct {
	// firm holds every entry but the denied names; the longest prefix decides.
	firm *bart.Table[Verdict]
	// soft holds the addresses of denied names, which count only where no
	// other entry covers the host: where one does, it either allows the host,
	// and a denied name never beats that, or it denies the host anyway.
	// nil if there are none, so that most gateways look once.
	soft *bart.Lite
}

func (s *snapshot) verdict(addr netip.Addr) Verdict {
	if v, ok := s.firm.Lookup(addr); ok {
		return v
	}
	if s.soft != nil && s.soft.Contains(addr) {
		return Denied
	}
	return Neutral
}

// place is the prefix by which s decides of addr; invalid if by none.
func (s *snapshot) place(addr netip.Addr) netip.Prefix {
	if p, _, ok := s.firm.LookupPrefixLPM(full(addr)); ok {
		return p
	}
	if s.soft != nil && s.soft.Contains(addr) {
		return full(addr)
	}
	return netip.Prefix{}
}

// sites says which listings stand at each prefix, and which prefixes changed
// since the last snapshot.
type sites struct {
	at      map[netip.Prefix][]*listing
	touched []netip.Prefix
}

func (s *sites) add(x *listing, places []netip.Prefix) {
	for _, p := range places {
		s.at[p] = append(s.at[p], x)
	}
	s.touched = append(s.touched, places...)
}

func (s *sites) remove(x *listing, places []netip.Prefix) {
	for _, p := range places {
		left := slices.DeleteFunc(s.at[p], func(y *listing) bool { return x == y })
		if len(left) == 0 {
			delete(s.at, p)
			continue
		}
		s.at[p] = left
	}
	s.touched = append(s.touched, places...)
}

// decider is the listing that decides at p: allow beats deny, what was listed
// first is told first. nil if none stands there.
func (s *sites) decider(p netip.Prefix) *listing {
	var best *listing
	for _, x := range s.at[p] {
		if best == nil || x.rank() > best.rank() {
			best = x
		}
	}
	return best
}

// rebuildShare is the share of all prefixes (one in so many) from which on a
// new table costs less than to copy the old one's nodes for each change.
const rebuildShare = 8

// next is the snapshot after the changes since old, which are then forgotten;
// old itself if there are none.
func (s *sites) next(old *snapshot) *snapshot {
	touched := s.touched
	s.touched = nil
	switch {
	case len(touched) == 0:
		return old
	case len(touched) > len(s.at)/rebuildShare:
		return s.build()
	}
	return s.patch(old, touched)
}

func (s *sites) build() *snapshot {
	firm, soft := new(bart.Table[Verdict]), new(bart.Lite)
	for p := range s.at {
		switch x := s.decider(p); {
		case x.soft():
			soft.Insert(p)
		default:
			firm.Insert(p, x.verdict())
		}
	}
	return newSnapshot(firm, soft)
}

func (s *sites) patch(old *snapshot, touched []netip.Prefix) *snapshot {
	firm, soft := old.firm, old.soft
	if soft == nil {
		soft = new(bart.Lite)
	}
	for _, p := range touched {
		switch x := s.decider(p); {
		case x == nil:
			firm, soft = firm.DeletePersist(p), soft.DeletePersist(p)
		case x.soft():
			firm, soft = firm.DeletePersist(p), soft.InsertPersist(p)
		default:
			firm, soft = firm.InsertPersist(p, x.verdict()), soft.DeletePersist(p)
		}
	}
	return newSnapshot(firm, soft)
}

func newSnapshot(firm *bart.Table[Verdict], soft *bart.Lite) *snapshot {
	if soft.Size() == 0 {
		soft = nil
	}
	return &snapshot{firm: firm, soft: soft}
}
