package config

import "time"

// Config is everything that can be configured. It holds plain values only, is
// complete (a key that nobody wrote has its default), and is not to be changed
// once loaded.
type Config struct {
	Quota      Quota
	Transports Transports
	Devices    Devices
	NATS       NATS
	Control    Control
}

// Quota is the section quota.
type Quota struct {
	Host HostQuota
	Log  Log
	// Profile is how limits that are set by documents answer: thingsboard
	// (default), standard or bandwidth.
	Profile string
	// Policies are the further policies, in the order of the RateLimit fields;
	// default none.
	Policies []Policy
	// PartitionKey is how the RateLimit fields name a host: HashedKey
	// (default) or IdentityKey.
	PartitionKey string
}

// The values of Quota.PartitionKey.
const (
	HashedKey   = "hash"     // a keyed hash of the host
	IdentityKey = "identity" // the host itself
)

// HostQuota is the section quota.host: ThingsBoard's API limits, and what Weir
// adds to them.
type HostQuota struct {
	Limit       uint32        // limit: requests a window holds, 0 admits none; default 10000
	Interval    time.Duration // intervalMs: the window, 1 ms to 30 days; default 1 min
	TTL         time.Duration // ttlMs: silence after which a host is forgotten, Interval to 30 days; default 1 min
	CleanPeriod time.Duration // cleanPeriodMs: time between two cleanings, 100 ms to 30 days; default 5 min
	Enabled     bool          // enabled: default false
	// Whitelist and Blacklist are trimmed and free of empty entries, but not
	// otherwise checked. Defaults: localhost and 127.0.0.1; nobody.
	Whitelist  []string
	Blacklist  []string
	IPv6Prefix int    // ipv6Prefix: bits by which IPv6 hosts are counted, 1 to 64; default 64
	MaxHosts   int    // maxHosts: hosts counted at once, 1 to 100 million; default 4 million
	Profile    string // profile: thingsboard (default), standard or bandwidth
}

// Log is the section quota.log: the report of top offenders.
type Log struct {
	TopSize     int     // topSize: hosts in a report, 1 to 1000; default 10
	IntervalMin float64 // intervalMin: minutes between reports, 0.001 to 10080 (a week); default 2
}

// Interval is IntervalMin as a Duration.
func (l Log) Interval() time.Duration {
	return time.Duration(l.IntervalMin * float64(time.Minute))
}

// Transports is the section transports.
type Transports struct {
	HTTP HTTP
	MQTT MQTT
	CoAP CoAP
}

// HTTP is the section transports.http.
type HTTP struct {
	// Listen is a TCP host:port, port 0 taking any; "" switches the transport
	// off (the file may say "off" too). Default 127.0.0.1:8080.
	Listen string
	// TrustedProxies are the addresses and CIDR prefixes whose word on a
	// client's address is believed; see Prefix. Default none.
	TrustedProxies []string
	// Forwarded is the header that says it: ForwardedNone (default),
	// ForwardedXFF or ForwardedRFC7239.
	Forwarded string
	// ProxyProtocol tells that a trusted proxy opens connections with a PROXY
	// protocol header; default false.
	ProxyProtocol bool
	// MaxBody is the largest request body in bytes, 64 to 960 KiB; default
	// 64 KiB.
	MaxBody int64
}

// The values of HTTP.Forwarded.
const (
	ForwardedNone    = "none"      // no header is believed
	ForwardedXFF     = "xff"       // X-Forwarded-For
	ForwardedRFC7239 = "forwarded" // Forwarded (RFC 7239)
)

// MQTT is the section transports.mqtt.
type MQTT struct {
	Listen         string   // as HTTP.Listen; default 127.0.0.1:1883
	TrustedProxies []string // as HTTP.TrustedProxies
	ProxyProtocol  bool     // as HTTP.ProxyProtocol
	MaxPacket      int64    // maxPacket: largest packet in bytes, 64 to 960 KiB; default 64 KiB
}

// CoAP is the section transports.coap.
type CoAP struct {
	Listen string // a UDP host:port, else as HTTP.Listen; default 127.0.0.1:5683
}

// Devices is the section devices.
type Devices struct {
	Auth    string   // auth: AuthOpen (default) or AuthToken
	List    []Device // list: the known devices; default none
	MaxOpen int      // maxOpen: devices held in open mode, 1 to 10 million; default 100000
}

// The values of Devices.Auth.
const (
	AuthOpen  = "open"  // any token is a device of that name
	AuthToken = "token" // only the tokens of Devices.List are devices
)

// Device is an entry of devices.list.
type Device struct {
	Account string // account: 1 to 512 bytes; default "default"
	Device  string // device: 1 to 512 bytes; required
	Token   string // token: not empty, unique in the list; a secret
}

// NATS is the section nats.
type NATS struct {
	// URL is one NATS server or several, separated by commas; "" (default)
	// runs the embedded one. It may hold a password.
	URL         string
	Credentials string    // credentials: path of a credentials file for URL; "" for none
	TLS         ClientTLS // tls: for URL
	Embedded    Embedded  // embedded: meant only while URL is ""
	Up          Up
}

// ClientTLS is the section nats.tls: paths of PEM files, "" for none. Cert and
// Key are both set or both empty.
type ClientTLS struct{ CA, Cert, Key string }

// Embedded is the section nats.embedded.
type Embedded struct {
	Listen string    // a TCP host:port for subscribers; default 127.0.0.1:4222
	Dir    string    // dir: where JetStream keeps its files; default ./weir-data
	Sync   string    // sync: SyncAlways (default) or SyncInterval
	Users  []User    // users: who may subscribe, not empty off loopback; default none
	TLS    ServerTLS // tls: set off loopback
}

// The values of Embedded.Sync.
const (
	SyncAlways   = "always"   // fsync before every acknowledgement
	SyncInterval = "interval" // fsync now and then
)

// User is an entry of nats.embedded.users. Both are set and User is unique in
// the list; Password is a secret.
type User struct{ User, Password string }

// ServerTLS is the section nats.embedded.tls: paths of PEM files, both set or
// both empty.
type ServerTLS struct{ Cert, Key string }

// Up is the section nats.up: how long and how much of what devices sent is kept.
type Up struct {
	MaxAge   time.Duration // maxAge: 1 s to 10 years of 365 days; default 168 h
	MaxBytes int64         // maxBytes: 64 KiB to 1 PiB; default 10 GiB
	WhenFull string        // whenFull: DiscardOldest (default) or Refuse
	Replicas int           // replicas: 1 to 5; default 1
}

// The values of Up.WhenFull.
const (
	DiscardOldest = "discardOldest" // the newest message drives out the oldest
	Refuse        = "refuse"        // devices are refused
)

// Control is the section control.
type Control struct {
	Listen string // a TCP host:port; default 127.0.0.1:8088
}

// Default is the configuration of an empty file and an empty environment.
func Default() Config {
	return Config{
		Quota: Quota{
			Host: HostQuota{
				Limit: 10_000, Interval: time.Minute, TTL: time.Minute, CleanPeriod: 5 * time.Minute,
				Whitelist: []string{"localhost", "127.0.0.1"}, Blacklist: []string{},
				IPv6Prefix: 64, MaxHosts: 4_000_000, Profile: "thingsboard",
			},
			Log:          Log{TopSize: 10, IntervalMin: 2},
			Profile:      "thingsboard",
			Policies:     []Policy{},
			PartitionKey: HashedKey,
		},
		Transports: Transports{
			HTTP: HTTP{Listen: "127.0.0.1:8080", TrustedProxies: []string{}, Forwarded: ForwardedNone, MaxBody: 64 << 10},
			MQTT: MQTT{Listen: "127.0.0.1:1883", TrustedProxies: []string{}, MaxPacket: 64 << 10},
			CoAP: CoAP{Listen: "127.0.0.1:5683"},
		},
		Devices: Devices{Auth: AuthOpen, List: []Device{}, MaxOpen: 100_000},
		NATS: NATS{
			Embedded: Embedded{Listen: "127.0.0.1:4222", Dir: "./weir-data", Sync: SyncAlways, Users: []User{}},
			Up:       Up{MaxAge: 168 * time.Hour, MaxBytes: 10 << 30, WhenFull: DiscardOldest, Replicas: 1},
		},
		Control: Control{Listen: "127.0.0.1:8088"},
	}
}
