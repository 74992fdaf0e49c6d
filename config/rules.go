package config

import (
	"strconv"
	"strings"
)

// maxName is the longest account, device or user name in bytes: no longer one
// fits a NATS subject (contract section 3).
const maxName = 512

// rules are what values demand of each other. Each is looked at only where the
// values themselves were read without a fault, so that one mistake is told once.
type rules struct {
	l      *Loaded
	bad    map[string]bool
	faults []Fault
}

func (r *rules) check() []Fault {
	c := &r.l.Config
	r.window(&c.Quota.Host)
	r.policies(c.Quota.Policies)
	http, mqtt := &c.Transports.HTTP, &c.Transports.MQTT
	if http.Forwarded != ForwardedNone {
		r.proxied("transports.http", "forwarded", http.TrustedProxies)
	}
	if http.ProxyProtocol {
		r.proxied("transports.http", "proxyProtocol", http.TrustedProxies)
	}
	if mqtt.ProxyProtocol {
		r.proxied("transports.mqtt", "proxyProtocol", mqtt.TrustedProxies)
	}
	r.devices(&c.Devices)
	r.open(c)
	r.nats(&c.NATS)
	return r.faults
}

// fault tells a fault at path, unless there is one already.
func (r *rules) fault(path, problem string) {
	if !r.bad[path] {
		r.faults = append(r.faults, r.l.Fault(path, problem))
	}
}

// faultBeside tells a fault at path that came of what stands at other: there
// it is placed if nobody wrote anything at path.
func (r *rules) faultBeside(path, other, problem string) {
	if r.anyBad(path, other) {
		return
	}
	f := r.l.Fault(path, problem)
	if f.Place == DefaultPlace {
		f.Place = r.l.At(other)
	}
	r.faults = append(r.faults, f)
}

func (r *rules) warn(path, text string) {
	r.l.Warnings = append(r.l.Warnings, r.l.Fault(path, text).String())
}

// anyBad tells whether one of the paths, or an item of a list there, has a
// fault of its own.
func (r *rules) anyBad(paths ...string) bool {
	for bad := range r.bad {
		for _, p := range paths {
			if bad == p || strings.HasPrefix(bad, p+"[") {
				return true
			}
		}
	}
	return false
}

// window: a host that is forgotten within its window would get a new budget.
func (r *rules) window(h *HostQuota) {
	const interval, ttl = "quota.host.intervalMs", "quota.host.ttlMs"
	if h.TTL >= h.Interval {
		return
	}
	r.faultBeside(ttl, interval, strconv.FormatInt(h.TTL.Milliseconds(), 10)+" is less than intervalMs, so that hosts would be forgotten within their window; expected at least "+
		strconv.FormatInt(h.Interval.Milliseconds(), 10))
}

// proxied: what a proxy says is believed of trusted proxies only.
func (r *rules) proxied(section, name string, trusted []string) {
	proxies := section + ".trustedProxies"
	if len(trusted) == 0 && !r.anyBad(proxies) {
		r.fault(section+"."+name, "no proxy is trusted, so that it would never be believed; expected "+proxies+" to name the proxies")
	}
}

func (r *rules) devices(d *Devices) {
	seen := make(map[string]int, len(d.List))
	for i := range d.List {
		at := index("devices.list", i)
		if r.bad[at] {
			continue
		}
		r.name(at+".account", d.List[i].Account)
		r.name(at+".device", d.List[i].Device)
		token := d.List[i].Token
		first, twice := seen[token]
		switch {
		case token == "":
			r.fault(at+".token", "is empty or missing; expected the device's token")
		case twice:
			r.fault(at+".token", "is the token of "+index("devices.list", first)+" too; expected one of its own")
		default:
			seen[token] = i
		}
	}
	switch {
	case r.anyBad("devices.auth", "devices.list"):
	case d.Auth == AuthToken && len(d.List) == 0:
		r.warn("devices.auth", "token is set and devices.list is empty: no device can come in")
	case d.Auth == AuthOpen && len(d.List) > 0:
		r.warn("devices.list", "devices.auth is open: any token is let in, not only those listed; set devices.auth: token")
	}
}

// name checks an account, device or user name.
func (r *rules) name(path, name string) {
	switch {
	case name == "":
		r.fault(path, "is empty or missing; expected a name of 1 to 512 bytes")
	case len(name) > maxName:
		r.fault(path, clip(name)+" is too long; expected a name of 1 to 512 bytes")
	}
}

// open: devices that need no secret stay on loopback, unless the operator wrote
// in so many words that they need none.
func (r *rules) open(c *Config) {
	if c.Devices.Auth != AuthOpen || r.l.At("devices.auth") != DefaultPlace {
		return
	}
	t := &c.Transports
	for _, one := range []struct{ path, listen string }{
		{"transports.http.listen", t.HTTP.Listen},
		{"transports.mqtt.listen", t.MQTT.Listen},
		{"transports.coap.listen", t.CoAP.Listen},
	} {
		if one.listen != "" && !loopback(one.listen) {
			r.fault(one.path, clip(one.listen)+" is not loopback, and anyone there would be a device; expected devices.auth to be set: token with devices.list, or open to let anyone in")
		}
	}
}

func (r *rules) nats(n *NATS) {
	r.pair("nats.tls", n.TLS.Cert, n.TLS.Key)
	r.pair("nats.embedded.tls", n.Embedded.TLS.Cert, n.Embedded.TLS.Key)
	if n.Embedded.Dir == "" {
		r.fault("nats.embedded.dir", "is empty; expected a folder, such as ./weir-data")
	}
	r.users(n.Embedded.Users)
	if n.URL == "" && n.Up.Replicas > 1 && !r.anyBad("nats.url", "nats.up.replicas") {
		r.fault("nats.up.replicas", strconv.Itoa(n.Up.Replicas)+" copies need a cluster; expected 1 with the embedded NATS, or nats.url")
	}
	switch {
	case r.anyBad("nats.url"):
	case n.URL == "":
		r.embedded(&n.Embedded)
		r.unused("needs nats.url, which is not set: it has no effect", "nats.credentials", "nats.tls.")
	default:
		r.unused("is set beside nats.url: that NATS is used and none embedded, so that it has no effect", "nats.embedded.")
	}
}

// embedded: off loopback, strangers could read every device's data.
func (r *rules) embedded(e *Embedded) {
	const listen, users, tls = "nats.embedded.listen", "nats.embedded.users", "nats.embedded.tls"
	if loopback(e.Listen) || r.anyBad(listen, users, tls+".cert", tls+".key") {
		return
	}
	var missing []string
	if len(e.Users) == 0 {
		missing = append(missing, users)
	}
	if e.TLS.Cert == "" {
		missing = append(missing, tls+" (cert and key)")
	}
	if missing != nil {
		r.fault(listen, clip(e.Listen)+" is not loopback, and anyone there could read every device's data; expected "+
			strings.Join(missing, " and ")+" to be set too")
	}
}

func (r *rules) users(list []User) {
	seen := make(map[string]int, len(list))
	for i, u := range list {
		at := index("nats.embedded.users", i)
		if r.bad[at] {
			continue
		}
		r.name(at+".user", u.User)
		if first, twice := seen[u.User]; twice && u.User != "" {
			r.fault(at+".user", "is the name of "+index("nats.embedded.users", first)+" too; expected one of its own")
		}
		seen[u.User] = i
		if u.Password == "" {
			r.fault(at+".password", "is empty or missing; expected the user's password")
		}
	}
}

// pair: a certificate and its key come together.
func (r *rules) pair(path, cert, key string) {
	switch {
	case cert != "" && key == "":
		r.faultBeside(path+".key", path+".cert", "is empty while cert is set; expected the certificate's key file")
	case cert == "" && key != "":
		r.faultBeside(path+".cert", path+".key", "is empty while key is set; expected the key's certificate file")
	}
}

// unused warns of what was written below a path and does nothing.
func (r *rules) unused(text string, paths ...string) {
	schema(&r.l.Config).leaves("", func(path string, _ *key) {
		for _, p := range paths {
			if _, written := r.l.places[path]; written && strings.HasPrefix(path, p) {
				r.warn(path, text)
			}
		}
	})
}
