package mqtt

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/weirgate/weir/devices"
	"github.com/weirgate/weir/transports"
)

// Bounds and their reasons. What happens at each is said beside it.
const (
	// DefaultMaxPacket is Config.MaxPacket's default: ThingsBoard's own
	// (netty.max_payload_size), in bytes.
	DefaultMaxPacket = 64 << 10
	// DefaultMaxClients is Config.MaxClients' default.
	DefaultMaxClients = 100_000
	// DefaultMaxSessions is Config.MaxSessions' default. An offline session takes,
	// at its worst, 4 KiB of QoS 2 identifiers (sparse), 1 KiB of subscriptions
	// (maxSubscriptions of 16 bytes), 2.5 KiB of names (account and device fill a
	// NATS subject, a client identifier three times maxClientID when escaped) and
	// 0.5 KiB of tables: 8 KiB, all of them some 80 MiB.
	DefaultMaxSessions = 10_000

	// maxConnect bounds CONNECT, in bytes: a stranger's first packet is read
	// before anything is known of it. Over it: CONNACK 0x95, or close.
	maxConnect = 16 << 10
	// maxClientID bounds a client identifier, in bytes: it may be a token.
	// Over it: CONNACK 0x85 or 2.
	maxClientID = devices.MaxName
	// receiveMaximum bounds the acknowledgements that one client is owed, over
	// which it is not read from until some have left. Of MQTT 5, which is told
	// of it, it bounds the QoS 1 and 2 publishes of a connection that are not
	// acknowledged, or not released; over it: DISCONNECT 0x93.
	receiveMaximum = 1024
	// aliasMaximum bounds a client's topic aliases. Over it: DISCONNECT 0x94.
	aliasMaximum = 16
	// maxOfDevice bounds the offline sessions of one device, under however many
	// client identifiers. Over it the oldest ends.
	maxOfDevice = 8
	// maxFilters bounds the filters of one SUBSCRIBE or UNSUBSCRIBE, which is
	// charged as one request. Over it: DISCONNECT 0x97, or close.
	maxFilters = maxSubscriptions
	// maxSubscriptions bounds one client's subscriptions. Over it: SUBACK 0x87
	// or 0x80.
	maxSubscriptions = 64
	// maxOut bounds the bytes waiting for one client's socket. Over it the
	// client, which does not read, is closed.
	maxOut = 256 << 10
	// spareSockets is how many connections over MaxClients are still heard, so
	// that their CONNECT is answered. Over it they are closed at accept.
	spareSockets = 1024

	connectLimit = 10 * time.Second // from accept to the end of CONNECT
	stallLimit   = 30 * time.Second // for a full socket to take bytes again
	lastWord     = 2 * time.Second  // for a closing socket to take the last packet
	lingerLimit  = 250 * time.Millisecond
	takeoverWait = 5 * time.Second // for a replaced connection to end
	// idleKeepAlive is the keep alive of clients that asked for none: MQTT 5 is
	// told; MQTT 3.1.1 is closed after one and a half of it without a packet.
	idleKeepAlive = 20 * time.Minute
	// maxSessionExpiry bounds how long a session outlives its connection. MQTT 5
	// is told; it is also the life of a 3.1.1 session.
	maxSessionExpiry = 24 * time.Hour
	sweepEvery       = 10 * time.Second
)

// Session is one connected client, for events. It is immutable.
type Session struct {
	Device   *devices.Device
	ClientID string // as the client sent it, or as it was assigned
	Host     transports.Host
	Version  byte // 4 (MQTT 3.1.1) or 5
	At       time.Time
}

// Presence is told when sessions begin and end: Connected once, then
// Disconnected once, in this order. Both are called from the connection's own
// goroutine and must not block. reason is one of a few fixed phrases.
type Presence interface {
	Connected(s Session)
	Disconnected(s Session, reason string)
}

// Naming says whether a client without a user name may be known by its client
// identifier.
type Naming uint8

// The namings.
const (
	// UserName: the token is the user name; without one CONNECT is refused.
	UserName Naming = iota
	// UserNameOrClientID: without a user name, the client identifier is the
	// token (devices mode open).
	UserNameOrClientID
)

// Config is what a Server is made of.
type Config struct {
	// Listener is where clients come from. Required; the Server closes it.
	Listener net.Listener
	// Gate admits, identifies and stores. Required.
	Gate *transports.Gate
	// RemoteAddr is a connection's peer. It is asked once, after the first byte
	// was read. false: a trusted proxy speaking for itself, counted for nobody.
	// nil: the connection's own RemoteAddr.
	RemoteAddr func(net.Conn) (netip.Addr, bool)
	// Known tells whether a device that connected earlier is still known, for
	// Recheck. nil: always.
	Known func(*devices.Device) bool
	// Presence is told of sessions. nil: nobody is.
	Presence Presence
	// Naming is where the token stands. The zero Naming is UserName.
	Naming Naming
	// MaxPacket is the longest packet taken, in bytes, its header included;
	// 0: DefaultMaxPacket. Over it: DISCONNECT 0x95, or close.
	MaxPacket int
	// MaxClients bounds the connected clients; 0: DefaultMaxClients. Over it:
	// CONNACK 0x88 or 3.
	MaxClients int
	// MaxSessions bounds the sessions that outlive their connection; 0:
	// DefaultMaxSessions. Over it a session ends with its connection.
	MaxSessions int
	// Log is for what an operator must know; it is never written to for a
	// request. nil: nothing is logged.
	Log *slog.Logger
	// Now is the clock of sessions and events. nil: time.Now. Socket deadlines
	// follow the machine's clock in any case.
	Now func() time.Time
}

// Errors of New.
var (
	errNoListener = errors.New("mqtt: Config.Listener is missing")
	errNoGate     = errors.New("mqtt: Config.Gate is missing")
)

// complete is cfg with its defaults in place.
func (cfg Config) complete() (Config, error) {
	if cfg.Listener == nil {
		return cfg, errNoListener
	}
	if cfg.Gate == nil {
		return cfg, errNoGate
	}
	if cfg.RemoteAddr == nil {
		cfg.RemoteAddr = remoteAddr
	}
	if cfg.Known == nil {
		cfg.Known = func(*devices.Device) bool { return true }
	}
	if cfg.Presence == nil {
		cfg.Presence = nobody{}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.MaxPacket = orDefault(cfg.MaxPacket, DefaultMaxPacket)
	cfg.MaxClients = orDefault(cfg.MaxClients, DefaultMaxClients)
	cfg.MaxSessions = orDefault(cfg.MaxSessions, DefaultMaxSessions)
	return cfg, nil
}

func orDefault(n, def int) int {
	if n > 0 {
		return n
	}
	return def
}

// remoteAddr is the peer of a connection that no proxy stands before. One whose
// address is no IP address (a pipe) is nobody's.
func remoteAddr(c net.Conn) (netip.Addr, bool) {
	ap, err := netip.ParseAddrPort(c.RemoteAddr().String())
	return ap.Addr(), err == nil
}

type nobody struct{}

func (nobody) Connected(Session)            {}
func (nobody) Disconnected(Session, string) {}
