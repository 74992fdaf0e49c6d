package bus

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// Times of a connection to NATS.
const (
	connectPatience = 5 * time.Second        // how long Open tries
	connectPause    = 250 * time.Millisecond // between tries, at start and later: back within 2 s
	pingInterval    = 3 * time.Second        // two unanswered end a connection that hangs
	writeTimeout    = time.Second            // a peer that takes no byte for so long is away
)

// gatewayInbox is where the gateway is answered: nowhere a subscriber hears.
const gatewayInbox = "_WEIR.IN"

// link is whether the store can be reached, and a way to wait for a change.
type link struct {
	mu      sync.Mutex
	up      bool          // connected
	broken  bool          // connected or not, it cannot store (the embedded server's disk)
	since   time.Time     // when up last changed
	changed chan struct{} // closed when up or broken changes
}

// linkState is a link at one moment.
type linkState struct {
	up, broken bool
	since      time.Time
	changed    <-chan struct{}
}

func newLink() *link { return &link{since: time.Now(), changed: make(chan struct{})} }

func (l *link) state() linkState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return linkState{l.up, l.broken, l.since, l.changed}
}

// setUp notes that the connection came or went.
func (l *link) setUp(up bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.up == up {
		return
	}
	l.up, l.since = up, time.Now()
	l.wake()
}

// setBroken notes that the store's disk failed or works again, and tells
// whether that is new.
func (l *link) setBroken(broken bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken == broken {
		return false
	}
	l.broken = broken
	l.wake()
	return true
}

func (l *link) wake() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// options are what every connection to NATS has. There is no reconnect buffer:
// what it takes while NATS is away might be stored long after it was refused.
func options(name string) []nats.Option {
	return []nats.Option{
		nats.Name(name), nats.Timeout(2 * time.Second),
		nats.MaxReconnects(-1), nats.IgnoreAuthErrorAbort(),
		nats.ReconnectWait(connectPause), nats.ReconnectJitter(connectPause/4, connectPause/4),
		nats.ReconnectBufSize(-1), nats.ReconnectOnFlusherError(), nats.FlusherTimeout(writeTimeout),
		nats.PingInterval(pingInterval), nats.MaxPingsOutstanding(2),
		nats.SkipSubjectValidation(), nats.NoCallbacksAfterClientClose(),
		// An error that no request waits for (a permission, a slow consumer)
		// shows in the requests that fail; nats.go must not print it.
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}),
	}
}

// watch keeps b.link up to date and says when NATS goes and comes.
func (b *Bus) watch() []nats.Option {
	return []nats.Option{
		nats.CustomInboxPrefix(gatewayInbox),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			b.link.setUp(false)
			if b.server == nil { // a restart of the embedded one is said by mend
				b.cfg.Log.Warn("nats.url: connection lost; nothing is acknowledged until it is back", "err", err)
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			b.maxPayload.Store(nc.MaxPayload())
			b.link.setUp(true)
			if b.server == nil {
				b.cfg.Log.Info("nats.url: connected again", "url", redacted(nc.ConnectedUrl()))
			}
		}),
	}
}

// connectEmbedded makes the gateway's connections to its own server: one where
// the streams are, one among the subscribers, and one between those.
func (b *Bus) connectEmbedded() (err error) {
	b.server, err = startEmbedded(b.cfg, b.storeBroken)
	if err != nil {
		return err
	}
	as := func(name, password string) []nats.Option {
		return append(options("weir"), nats.InProcessServer(b.server), nats.UserInfo(name, password))
	}
	if b.conn, err = nats.Connect("", append(as(b.server.gateway.Username, b.server.gateway.Password), b.watch()...)...); err != nil {
		return fmt.Errorf("nats.embedded: %w", err)
	}
	if b.peers, err = nats.Connect("", as(b.server.subscriber.Username, b.server.subscriber.Password)...); err != nil {
		return fmt.Errorf("nats.embedded: %w", err)
	}
	own := append(as(b.server.gateway.Username, b.server.gateway.Password), nats.CustomInboxPrefix(gatewayInbox))
	if b.relayed, err = nats.Connect("", own...); err != nil {
		return fmt.Errorf("nats.embedded: %w", err)
	}
	return (&relay{from: b.peers, to: b.relayed}).start()
}

// connectURL connects to Config.URL, patiently.
func (b *Bus) connectURL(ctx context.Context) (err error) {
	opts := append(options("weir"), b.watch()...)
	if b.cfg.CredentialsFile != "" {
		opts = append(opts, nats.UserCredentials(b.cfg.CredentialsFile))
	}
	if t := b.cfg.TLS; t.CA != "" {
		opts = append(opts, nats.RootCAs(t.CA))
	}
	if t := b.cfg.TLS; t.Cert != "" {
		opts = append(opts, nats.ClientCert(t.Cert, t.Key))
	}
	for deadline := time.Now().Add(connectPatience); ; {
		b.conn, err = nats.Connect(b.cfg.URL, opts...)
		if err == nil {
			b.peers = b.conn
			return nil
		}
		if time.Now().After(deadline) || !pause(ctx, connectPause) {
			return fmt.Errorf("nats.url %s: %s", redacted(b.cfg.URL), redactedError(err))
		}
	}
}

// pause waits for d, and tells whether ctx let it.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// redacted is a list of URLs without users, passwords and tokens.
func redacted(urls string) string {
	list := strings.Split(urls, ",")
	for i, text := range list {
		text = strings.TrimSpace(text)
		u, err := url.Parse(text)
		switch {
		case err != nil, u.Host == "" && strings.Contains(text, "@"):
			_, text, _ = strings.Cut(text, "@")
			list[i] = text
		default:
			u.User = nil
			list[i] = u.String()
		}
	}
	return strings.Join(list, ",")
}

// cause is what the network said, without the addresses that net repeats.
func cause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return op.Err
	}
	return err
}

// redactedError is an error of nats.go in one line; one of a URL repeats the
// URL, and is not shown.
func redactedError(err error) string {
	text := strings.ReplaceAll(cause(err).Error(), "\n", " ")
	if strings.Contains(text, "parse ") {
		return "expected nats://HOST:PORT"
	}
	return text
}
