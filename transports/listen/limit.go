package listen

// MaxDefaultConns is the most that DefaultMaxConns grants: at some 20 KiB of
// stacks and buffers a connection it is over a gibibyte.
const MaxDefaultConns = 65536

// minDefaultConns is the least that DefaultMaxConns grants.
const minDefaultConns = 16

// DefaultMaxConns is the bound on one listener's connections where files many
// files may be open: a third of them, since there are two TCP transports and
// the rest is the store's; at least 16, at most MaxDefaultConns.
func DefaultMaxConns(files uint64) int {
	return int(min(max(files/3, minDefaultConns), MaxDefaultConns))
}

// siteConns is what one address may need that stands for a whole site behind a
// NAT, or for a load test: 10,000 connections and a few to spare.
const siteConns = 10240

// DefaultMaxPerHost is the bound on one host's connections where conns are all
// that a listener may have: a quarter, so that it takes four to hold them all;
// siteConns where that is more and no more than half, so that a large site fits
// and two leave room for others. At least 1.
func DefaultMaxPerHost(conns int) int {
	if quarter := conns / 4; quarter >= siteConns || conns/2 < siteConns {
		return max(1, quarter)
	}
	return siteConns
}
