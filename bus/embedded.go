package bus

import (
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Bounds of the embedded server. Its subscribers are few and trusted to run on
// this machine, or are users with a password; still none may take all of it.
//
// Memory: what clients do not read is maxClients × maxPending, 320 MiB at the very
// most. Time: a message is handed to maxClients × maxSubscriptions at the very most,
// some 4,000. Above three quarters of maxPending a connection loses what other
// clients and devices publish; nobody waits for it. The last quarter is larger
// than nats-server's max_payload, 1 MiB, so that no client can have the gateway's own
// connections cut off by flooding them.
const (
	maxClients       = 64
	maxConnections   = maxClients + 32 // the gateway's own, and such as did not say who they are yet
	maxSubscriptions = 64              // a connection; the relay has 46
	maxPending       = 5 << 20         // bytes a connection; a slower reader of JetStream's is cut off
	maxMemoryStore   = 64 << 20        // bytes; no stream of ours lives in memory

	// writeDeadline is how long a client may take no byte.
	writeDeadline = 2 * time.Second

	startTimeout = 10 * time.Second
)

// reservedBytes is the room kept beside nats.up.maxBytes: WEIR_DEAD and
// WEIR_EVENTS, and the key-value buckets of lists and limits.
const reservedBytes = deadBytes + eventsBytes + 256<<20

// embedded is the nats-server inside this process. It can be restarted in
// place, behind connections that find the new one by themselves.
type embedded struct {
	cfg  *Config
	dir  *dataDir
	log  *serverLog
	port int // where it listens, once it did; a restart listens there again

	// The gateway's own users, of which nobody else knows, and which only a
	// connection within the process can be.
	gateway, subscriber server.User

	current atomic.Pointer[server.Server]
}

// startEmbedded opens the data directory and starts a server on it. broken is
// called when a write to the disk fails: what follows then fails too, until
// restart.
func startEmbedded(cfg *Config, broken func()) (*embedded, error) {
	dir, err := openDataDir(cfg.Embedded.Dir)
	if err != nil {
		return nil, err
	}
	e := &embedded{cfg: cfg, dir: dir, log: newServerLog(cfg.Log, broken)}
	e.gateway, e.subscriber = ownUser(), ownUser()
	if err = e.start(); err != nil {
		return nil, errors.Join(err, dir.release())
	}
	return e, nil
}

// ownUser is a user with a name and a password that nobody can guess.
func ownUser() server.User {
	return server.User{
		Username: "weir-" + rand.Text(), Password: rand.Text(),
		AllowedConnectionTypes: map[string]struct{}{inProcess: {}},
	}
}

// inProcess is the connection type that net.Pipe connections have.
const inProcess = "IN_PROCESS"

func (e *embedded) makeOptions() (*server.Options, error) {
	host, port, err := e.cfg.Embedded.hostPort()
	if err != nil {
		return nil, err
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	if e.port != 0 {
		port = e.port
	}
	o := &server.Options{
		ServerName: "weir", Host: host, Port: port, NoSigs: true,
		JetStream: true, StoreDir: e.cfg.Embedded.Dir,
		JetStreamMaxStore: e.cfg.Up.MaxBytes + reservedBytes, JetStreamMaxMemory: maxMemoryStore,
		SyncAlways: e.cfg.Embedded.Sync == SyncAlways,
		MaxConn:    maxConnections, MaxSubs: maxSubscriptions, MaxPending: maxPending,
		WriteDeadline: writeDeadline, NoFastProducerStall: true,
		DisableJetStreamBanner: true,
	}
	if err := o.ProcessConfigString(accounts()); err != nil {
		return nil, fmt.Errorf("bus: the accounts of the embedded NATS: %w", err)
	}
	e.addUsers(o)
	return o, e.addTLS(o)
}

// addUsers gives every user its account: the gateway's own both, the others,
// and on loopback the anonymous one, the subscribers'.
func (e *embedded) addUsers(o *server.Options) {
	for _, a := range o.Accounts {
		switch a.Name {
		case gatewayAccount:
			e.gateway.Account = a
		case subscriberAccount:
			e.subscriber.Account = a
		}
	}
	o.Users = []*server.User{&e.gateway, &e.subscriber}
	for _, u := range e.cfg.Embedded.Users {
		o.Users = append(o.Users, e.asSubscriber(u))
	}
	if len(e.cfg.Embedded.Users) == 0 {
		anybody := e.asSubscriber(User{Name: "anonymous-" + rand.Text(), Password: rand.Text()})
		o.Users = append(o.Users, anybody)
		o.NoAuthUser = anybody.Username
	}
}

func (e *embedded) asSubscriber(u User) *server.User {
	return &server.User{
		Username: u.Name, Password: u.Password,
		Account: e.subscriber.Account, Permissions: subscriberPermissions(),
	}
}

func (e *embedded) addTLS(o *server.Options) error {
	c := &e.cfg.Embedded
	if c.TLSCert == "" {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
	if err != nil {
		return fault("nats.embedded.tls", err.Error())
	}
	o.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	o.TLSTimeout = 5
	return nil
}

// start makes a server and waits until it serves.
func (e *embedded) start() error {
	e.log.fatal.Store(nil)
	o, err := e.makeOptions()
	if err != nil {
		return err
	}
	s, err := server.NewServer(o)
	if err != nil {
		return fmt.Errorf("nats.embedded: %w", err)
	}
	s.SetLoggerV2(e.log, false, false, false)
	s.Start()
	for deadline := time.Now().Add(startTimeout); !s.ReadyForConnections(100 * time.Millisecond); {
		if e.log.fatal.Load() != nil || time.Now().After(deadline) {
			break
		}
	}
	if err := e.startFault(s); err != nil {
		stop(s)
		return err
	}
	e.current.Store(s)
	if addr, ok := s.Addr().(*net.TCPAddr); ok {
		e.port = addr.Port
	}
	return nil
}

// startFault is why s does not serve, in one line; nil if it does.
func (e *embedded) startFault(s *server.Server) error {
	if why := e.log.fatal.Load(); why != nil {
		if why.listen {
			return fmt.Errorf("nats.embedded.listen %s: %s", e.cfg.Embedded.Listen, why.text)
		}
		return e.dir.fault(errors.New(why.text))
	}
	if !s.ReadyForConnections(0) && s.Addr() == nil {
		return fmt.Errorf("nats.embedded.listen %s: not ready after %s", e.cfg.Embedded.Listen, startTimeout)
	}
	if !s.JetStreamEnabled() {
		return e.dir.fault(errors.New("JetStream did not start"))
	}
	return nil
}

func stop(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

// restart replaces the server after a write failed: nothing less makes
// JetStream write again. It fails while the disk takes no write.
func (e *embedded) restart() error {
	if err := e.dir.probe(); err != nil {
		return e.dir.fault(err)
	}
	stop(e.current.Load())
	return e.start()
}

// InProcessConn connects to the current server; nats.go calls it.
func (e *embedded) InProcessConn() (net.Conn, error) { return e.current.Load().InProcessConn() }

func (e *embedded) close() error {
	stop(e.current.Load())
	return e.dir.release()
}

// serverLog is what the embedded server's log lines come to: the reason of a
// failed start is kept, a failed write is reported, and JetStream's complaints go on
// to the log, at most one in complaintPeriod. All else, which clients can
// provoke, is dropped.
type serverLog struct {
	log    *slog.Logger
	broken func()
	fatal  atomic.Pointer[fatalLine]
	last   atomic.Int64 // Unix nanoseconds of the last complaint
}

type fatalLine struct {
	text   string
	listen bool
}

const complaintPeriod = 10 * time.Second

func newServerLog(log *slog.Logger, broken func()) *serverLog {
	return &serverLog{log: log, broken: broken}
}
