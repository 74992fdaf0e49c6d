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
func (p *PartitionKeys) Host(h Host) string { return p.of(quota.LevelHost, h.Key.String()) }

// of is the pk of the key id of a level.
func (p *PartitionKeys) of(level quota.Level, id string) string {
	if !p.identity {
		mac := hmac.New(sha256.New, p.secret)
		mac.Write([]byte(level.String() + "\x00" + id))
		id = string(mac.Sum(nil)[:12])
	}
	return ":" + base64.StdEncoding.EncodeToString([]byte(id)) + ":"
}

// partition is a pk that was worked out before.
type partition struct {
	id uint64
	pk string
}

// pk is the pk of a policy of c's last request; what it costs is kept.
func (p *PartitionKeys) pk(c *Charge, s *quota.Standing) string {
	level := s.Policy.Level
	kept := &c.pks[level]
	if kept.id != s.KeyID() || kept.pk == "" {
		*kept = partition{s.KeyID(), p.of(level, c.request.Name(s))}
	}
	return kept.pk
}

// AppendRateLimits appends the RateLimit values of c's last request to b, each
// after ", " where something stands before it.
func (p *PartitionKeys) AppendRateLimits(b []byte, c *Charge) []byte {
	for i := range c.result.Limits {
		s := &c.result.Limits[i]
		b = AppendRateLimit(separate(b), s.Decision, p.pk(c, s))
	}
	return b
}

// AppendRateLimitPolicies is AppendRateLimits for the RateLimit-Policy values.
func (p *PartitionKeys) AppendRateLimitPolicies(b []byte, c *Charge) []byte {
	for i := range c.result.Limits {
		s := &c.result.Limits[i]
		b = AppendRateLimitPolicy(separate(b), s.Policy, p.pk(c, s))
	}
	return b
}

func separate(b []byte) []byte {
	if len(b) == 0 {
		return b
	}
	return append(b, ", "...)
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
