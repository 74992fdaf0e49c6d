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
