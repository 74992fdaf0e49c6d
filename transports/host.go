package transports

import (
	"net/netip"

	"github.com/weirgate/weir/hostlist"
	"github.com/weirgate/weir/quota"
)

// Host is whom a request is counted for: one canonical address and its key. It
// is made once a connection (or datagram) by Gate.Host. The zero Host is counted
// for nobody and on no list: a trusted proxy speaking for itself.
type Host struct {
	Addr netip.Addr
	Key  quota.Key
}

// NewHost is the Host of a remote address, IPv6 counted by its first ipv6Prefix
// bits (1 to 64).
func NewHost(addr netip.Addr, ipv6Prefix int) Host {
	addr = hostlist.Canonical(addr)
	return Host{Addr: addr, Key: quota.HostKey(addr, ipv6Prefix)}
}

// String is the canonical address; "-" for the zero Host.
func (h Host) String() string {
	if !h.Addr.IsValid() {
		return "-"
	}
	return h.Addr.String()
}
