package transports

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"time"

	"github.com/weirgate/weir/quota"
)

// PartitionKeys makes the pk parameter of the RateLimit fields
// (draft-ietf-httpapi-ratelimit-headers): whose quota it is, as a byte
// sequence of RFC 9651 3.3.5, colons included.
type PartitionKeys struct {
	secret   []byte
	identity bool
}

// NewPartitionKeys hides identities behind a hash keyed by secret, or shows
// them as they are (quota.partitionKey: identity).
func NewPartitionKeys(secret []byte, identity bool) *PartitionKeys {
	return &PartitionKeys{secret, identity}
}

// Host is the pk of a host. It costs a hash: keep it for the connection.
func (p *PartitionKeys) Host(h Host) string {
	id := h.Key.String()
	if !p.identity {
		mac := hmac.New(sha256.New, p.secret)
		mac.Write([]byte("host\x00" + id))
		id = string(mac.Sum(nil)[:12])
	}
	return ":" + base64.StdEncoding.EncodeToString([]byte(id)) + ":"
}

// AppendRateLimit appends the value of a RateLimit field: "host";r=4;t=60;pk=:…:
// There is no space after a semicolon, for the clients that know no other form.
func AppendRateLimit(b []byte, d quota.Decision, pk string) []byte {
	b = append(b, '"')
	b = append(b, d.Policy.Name...)
	b = append(b, `";r=`...)
	b = strconv.AppendUint(b, uint64(d.Remaining()), 10)
	b = append(b, ";t="...)
	b = strconv.AppendInt(b, int64(ceilSeconds(d.Reset)), 10)
	b = append(b, ";pk="...)
	return append(b, pk...)
}

// AppendRateLimitPolicy appends the value of a RateLimit-Policy field:
// "host";q=60;w=60;pk=:…: A window that is no whole number of seconds, which w
// cannot say, is rounded up; one under a second omits w.
func AppendRateLimitPolicy(b []byte, p *quota.Policy, pk string) []byte {
	b = append(b, '"')
	b = append(b, p.Name...)
	b = append(b, `";q=`...)
	b = strconv.AppendUint(b, uint64(p.Quota), 10)
	if p.Window >= time.Second {
		b = append(b, ";w="...)
		b = strconv.AppendInt(b, int64(ceilSeconds(p.Window)), 10)
	}
	b = append(b, ";pk="...)
	return append(b, pk...)
}
