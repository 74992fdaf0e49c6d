package bus

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"time"
)

// Defaults and bounds of a Config.
const (
	DefaultLimit      = 100_000          // messages
	DefaultLimitBytes = 64 << 20         // bytes
	DefaultTimeout    = 10 * time.Second // contract section 3
	DefaultMaxAge     = 7 * 24 * time.Hour
	DefaultMaxBytes   = 10 << 30
	DefaultListen     = "127.0.0.1:4222"
	DefaultDir        = "weir-data"
)

// Config is what a Bus is made of. Open keeps a copy with the defaults filled in.
type Config struct {
	// URL is the NATS to use (nats.url), several separated by commas; "" embeds one.
	URL string
	// CredentialsFile is a NATS credentials file for URL; "" is none.
	CredentialsFile string
	// TLS is how to speak TLS with URL; zero leaves it to the URL's scheme.
	TLS TLSConfig
	// Embedded is the embedded server; it is not looked at if URL is set.
	Embedded EmbeddedConfig
	// Up is how long and how much the stream WEIR_UP keeps.
	Up UpConfig
	// Log gets what an operator must know and nothing a request; nil discards.
	Log *slog.Logger
	// Swept is called after each sweep of completions, from the goroutine that
	// made them; it must not block. nil is none.
	Swept func()
	// Limit bounds the messages waiting for the store; 0 is DefaultLimit. At
	// the bound Submit says ErrFull. Buried messages have a tenth of their own.
	Limit int
	// LimitBytes bounds the same in bytes of memory; 0 is DefaultLimitBytes.
	LimitBytes int
	// Timeout is how long after Submit a message is answered at the latest; 0 is
	// DefaultTimeout, under a second is a second.
	Timeout time.Duration

	// noAtomic leaves atomic publishing off the streams, as a NATS older than
	// 2.12 does; for tests.
	noAtomic bool
}

// TLSConfig names PEM files; "" is none.
type TLSConfig struct{ CA, Cert, Key string }

// Sync is when the embedded server's writes reach the disk.
type Sync uint8

// The ways to sync.
const (
	SyncAlways   Sync = iota // fsync before every acknowledgement
	SyncInterval             // every two minutes: a power cut loses what was acknowledged since
)

// User may connect to the embedded server, with the rights of a subscriber.
type User struct{ Name, Password string }

// EmbeddedConfig is the embedded nats-server.
type EmbeddedConfig struct {
	// Listen is where subscribers connect; "" is DefaultListen, port 0 any free
	// port. Anything but loopback demands Users and TLS.
	Listen string
	// Dir is the data directory; "" is DefaultDir. It is created 0700, locked,
	// and belongs to one Bus at a time.
	Dir  string
	Sync Sync
	// Users may connect. None: on loopback anybody may, without credentials.
	Users []User
	// TLSCert and TLSKey are PEM files; "" is no TLS.
	TLSCert, TLSKey string
}

// WhenFull is what the stream WEIR_UP does at Up.MaxBytes.
type WhenFull uint8

// The ways to be full.
const (
	DiscardOldest WhenFull = iota // the oldest messages make room
	Refuse                        // new messages are refused with ErrAway
)

// UpConfig is what the stream WEIR_UP keeps.
type UpConfig struct {
	MaxAge   time.Duration // 0 is DefaultMaxAge; at least a second
	MaxBytes int64         // 0 is DefaultMaxBytes
	WhenFull WhenFull
	// Replicas, 1 to 5, is for a clustered URL; 0 is 1, the embedded server's only choice.
	Replicas int
}

// ErrConfig is the root of every error that a Config's values cause.
var ErrConfig = errors.New("configuration")

// filled is c with its defaults.
func (c *Config) filled() *Config {
	f := *c
	orDefault(&f.Embedded.Listen, DefaultListen)
	orDefault(&f.Embedded.Dir, DefaultDir)
	orDefault(&f.Up.MaxAge, DefaultMaxAge)
	orDefault(&f.Up.MaxBytes, DefaultMaxBytes)
	orDefault(&f.Up.Replicas, 1)
	orDefault(&f.Limit, DefaultLimit)
	orDefault(&f.LimitBytes, DefaultLimitBytes)
	orDefault(&f.Timeout, DefaultTimeout)
	f.Timeout = max(f.Timeout, time.Second)
	orDefault(&f.Log, slog.New(slog.DiscardHandler))
	if f.Swept == nil {
		f.Swept = func() {}
	}
	return &f
}

func orDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// check finds what would be unsafe or impossible.
func (c *Config) check() error {
	switch {
	case c.Up.MaxAge < time.Second:
		return fault("nats.up.maxAge", "expected 1s or more")
	case c.Up.MaxBytes < 0:
		return fault("nats.up.maxBytes", "expected a positive size")
	case c.Up.Replicas < 1 || c.Up.Replicas > 5:
		return fault("nats.up.replicas", "expected 1 to 5")
	case c.Limit < 0 || c.LimitBytes < 0:
		return fault("nats", "a limit is negative")
	}
	if c.URL != "" {
		return nil
	}
	if c.Up.Replicas > 1 {
		return fault("nats.up.replicas", "the embedded NATS keeps one; more need nats.url")
	}
	return c.Embedded.check()
}

func (e *EmbeddedConfig) check() error {
	host, _, err := e.hostPort()
	if err != nil {
		return fault("nats.embedded.listen", "expected ADDRESS:PORT, found "+strconv.Quote(e.Listen))
	}
	if (e.TLSCert == "") != (e.TLSKey == "") {
		return fault("nats.embedded.tls", "cert and key go together")
	}
	for _, u := range e.Users {
		if u.Name == "" || u.Password == "" {
			return fault("nats.embedded.users", "a user needs a name and a password")
		}
	}
	if !loopback(host) && (len(e.Users) == 0 || e.TLSCert == "") {
		return fault("nats.embedded.listen", e.Listen+" is not loopback: that demands nats.embedded.users and tls")
	}
	return nil
}

func (e *EmbeddedConfig) hostPort() (string, int, error) {
	host, port, err := net.SplitHostPort(e.Listen)
	if err != nil {
		return "", 0, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return host, int(n), err
}

// loopback tells whether only this machine reaches host.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

func fault(key, problem string) error { return fmt.Errorf("%w: %s: %s", ErrConfig, key, problem) }
