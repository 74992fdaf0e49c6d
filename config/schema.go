package config

import (
	"math"
	"time"
)

// key is one key of the file: a section of further keys, or a value.
type key struct {
	name  string
	keys  []*key // a section's, in the order of the contract; nil for a value
	value value  // nil for a section
	live  bool   // a reload takes a change of it
}

// view is how a value is shown.
type view uint8

const (
	plain  view = iota // as it is, for comparing
	masked             // secrets hidden, for people
)

// value is what stands behind a key, bound to a field of a Config.
type value interface {
	// read takes the value out of the file or the environment; what is wrong
	// with it goes to r.
	read(r *reader, in input)
	// show is the value as YAML on one line.
	show(v view) string
}

func section(name string, keys ...*key) *key { return &key{name: name, keys: keys} }
func leaf(name string, v value) *key         { return &key{name: name, value: v} }
func live(name string, v value) *key         { return &key{name: name, value: v, live: true} }

// The bounds of windows in milliseconds: a month is longer than any quota of
// this field.
const (
	maxMillis = 30 * 24 * 60 * 60 * 1000
	minClean  = 100 // cleaning oftener would be all the machine does
)

// The bounds of one message in bytes: the smallest that holds a protocol's own
// handshake, and the largest that leaves 64 KiB of NATS's default max_payload
// (1 MiB) to subject and headers.
const (
	minMessage = 64
	maxMessage = 960 << 10
)

const year = 365 * 24 * time.Hour

// schema is every key there is, bound to c.
func schema(c *Config) *key {
	return section("",
		quotaKeys(&c.Quota),
		section("transports", httpKeys(&c.Transports.HTTP), mqttKeys(&c.Transports.MQTT),
			section("coap", leaf("listen", listener(&c.Transports.CoAP.Listen)))),
		section("devices",
			leaf("auth", oneOf(&c.Devices.Auth, AuthOpen, AuthToken)),
			live("list", &objects[Device]{dst: &c.Devices.List, keys: deviceKeys, initial: Device{Account: "default"}}),
			leaf("maxOpen", whole(&c.Devices.MaxOpen, 1, 10_000_000))),
		natsKeys(&c.NATS),
		section("control", leaf("listen", address(&c.Control.Listen))),
	)
}

func quotaKeys(q *Quota) *key {
	h := &q.Host
	return section("quota",
		section("host",
			live("limit", whole(&h.Limit, 0, math.MaxUint32)),
			live("intervalMs", millis(&h.Interval, 1, maxMillis)),
			live("ttlMs", millis(&h.TTL, 1, maxMillis)),
			live("cleanPeriodMs", millis(&h.CleanPeriod, minClean, maxMillis)),
			live("enabled", boolean(&h.Enabled)),
			live("whitelist", hosts(&h.Whitelist)),
			live("blacklist", hosts(&h.Blacklist)),
			leaf("ipv6Prefix", whole(&h.IPv6Prefix, 1, 64)),
			leaf("maxHosts", whole(&h.MaxHosts, 1, 100_000_000)),
			live("profile", oneOf(&h.Profile, "thingsboard", "standard", "bandwidth"))),
		section("log",
			live("topSize", whole(&q.Log.TopSize, 1, 1000)),
			live("intervalMin", decimal(&q.Log.IntervalMin, 0.001, 10080))),
		live("profile", oneOf(&q.Profile, "thingsboard", "standard", "bandwidth")),
		live("policies", policies(&q.Policies)),
		leaf("partitionKey", oneOf(&q.PartitionKey, HashedKey, IdentityKey)),
	)
}

func httpKeys(h *HTTP) *key {
	return section("http",
		leaf("listen", listener(&h.Listen)),
		leaf("trustedProxies", proxies(&h.TrustedProxies)),
		leaf("forwarded", oneOf(&h.Forwarded, ForwardedNone, ForwardedXFF, ForwardedRFC7239)),
		leaf("proxyProtocol", onOff(&h.ProxyProtocol)),
		leaf("maxBody", size(&h.MaxBody, minMessage, maxMessage)),
	)
}

func mqttKeys(m *MQTT) *key {
	return section("mqtt",
		leaf("listen", listener(&m.Listen)),
		leaf("trustedProxies", proxies(&m.TrustedProxies)),
		leaf("proxyProtocol", onOff(&m.ProxyProtocol)),
		leaf("maxPacket", size(&m.MaxPacket, minMessage, maxMessage)),
	)
}

func natsKeys(n *NATS) *key {
	e, up := &n.Embedded, &n.Up
	return section("nats",
		leaf("url", natsURL(&n.URL)),
		leaf("credentials", secret(&n.Credentials, "a path, or nothing")),
		section("tls",
			leaf("ca", text(&n.TLS.CA)), leaf("cert", text(&n.TLS.Cert)), leaf("key", text(&n.TLS.Key))),
		section("embedded",
			leaf("listen", address(&e.Listen)),
			leaf("dir", text(&e.Dir)),
			leaf("sync", oneOf(&e.Sync, SyncAlways, SyncInterval)),
			leaf("users", &objects[User]{dst: &e.Users, keys: userKeys}),
			section("tls", leaf("cert", text(&e.TLS.Cert)), leaf("key", text(&e.TLS.Key)))),
		section("up",
			leaf("maxAge", duration(&up.MaxAge, time.Second, 10*year)),
			leaf("maxBytes", size(&up.MaxBytes, 64<<10, 1<<50)),
			leaf("whenFull", oneOf(&up.WhenFull, DiscardOldest, Refuse)),
			leaf("replicas", whole(&up.Replicas, 1, 5))),
	)
}

func deviceKeys(d *Device) []*key {
	return []*key{
		leaf("account", text(&d.Account)),
		leaf("device", text(&d.Device)),
		leaf("token", secret(&d.Token, "a token")),
	}
}

func userKeys(u *User) []*key {
	return []*key{leaf("user", text(&u.User)), leaf("password", secret(&u.Password, "a password"))}
}

// leaves calls f for every value below k, with its path.
func (k *key) leaves(path string, f func(path string, k *key)) {
	if k.value != nil {
		f(path, k)
		return
	}
	for _, child := range k.keys {
		child.leaves(join(path, child.name), f)
	}
}

// names are the keys of a section.
func (k *key) names() []string {
	out := make([]string, len(k.keys))
	for i, child := range k.keys {
		out[i] = child.name
	}
	return out
}

// join is the path of a key below path.
func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
