package bus

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// slowFsync is the cost of an fsync above which an operator is told: a single
// message then waits as long at least.
const slowFsync = 50 * time.Millisecond

// mendPause is how often a server whose disk failed is tried again.
const mendPause = time.Second

// Bus is the gateway's NATS. All methods are safe for concurrent use.
type Bus struct {
	cfg        *Config
	server     *embedded  // nil with Config.URL
	conn       *nats.Conn // where the streams are
	peers      *nats.Conn // where subscribers and services are; conn itself with Config.URL
	relayed    *nats.Conn // where the streams are, for what subscribers ask; nil with Config.URL
	link       *link
	maxPayload atomic.Int64
	stats      counters
	fsync      time.Duration

	up, dead     *lane
	events       *publisher
	giveUpEvents context.CancelFunc

	phase   atomic.Int32   // opening, open, or failed before it was open
	quit    chan struct{}  // closed by Close: no more mending
	mending sync.WaitGroup // the one goroutine that mends
	closing sync.Once
	closed  error
}

// Phases of a Bus.
const (
	opening int32 = iota
	opened
	failed
)

// Open starts the embedded NATS, or connects to Config.URL for at most some
// five seconds, and makes the streams. An error is one line that names the key,
// the address or the directory at fault, and nothing is left behind.
func Open(ctx context.Context, cfg *Config) (*Bus, error) {
	b := &Bus{cfg: cfg.filled(), link: newLink(), quit: make(chan struct{})}
	if err := b.cfg.check(); err != nil {
		return nil, err
	}
	if err := b.open(ctx); err != nil {
		close(b.quit)
		return nil, errors.Join(err, b.disconnect())
	}
	return b, nil
}

func (b *Bus) open(ctx context.Context) error {
	if err := b.connect(ctx); err != nil {
		return err
	}
	b.link.setUp(true)
	b.maxPayload.Store(b.conn.MaxPayload())
	atomic, err := ensureStreams(ctx, b.conn, b.cfg)
	if err != nil {
		return b.diskFault(err)
	}
	if !atomic {
		b.noAtomic()
	}
	if err := b.startLanes(atomic); err != nil {
		return err
	}
	if !b.phase.CompareAndSwap(opening, opened) {
		return b.server.dir.fault(errBroken)
	}
	return nil
}

func (b *Bus) connect(ctx context.Context) error {
	if b.cfg.URL != "" {
		return b.connectURL(ctx)
	}
	if err := b.connectEmbedded(); err != nil {
		return err
	}
	cost, err := b.server.dir.fsyncCost()
	if err != nil {
		return err
	}
	if b.fsync = cost; cost > slowFsync {
		b.cfg.Log.Warn("nats.embedded.dir: an fsync on this disk is slow, and every acknowledgement waits for one",
			"dir", b.cfg.Embedded.Dir, "fsync", cost)
	}
	return nil
}

// diskFault makes an error of the embedded server name its directory, where the
// disk is what failed.
func (b *Bus) diskFault(err error) error {
	if b.server == nil {
		return err
	}
	if probe := b.server.dir.probe(); probe != nil {
		return b.server.dir.fault(probe)
	}
	return err
}

func (b *Bus) startLanes(atomic bool) (err error) {
	cfg := laneConfig{
		conn: b.conn, link: b.link, stats: &b.stats, swept: b.cfg.Swept,
		limit: b.cfg.Limit, limitBytes: b.cfg.LimitBytes, timeout: b.cfg.Timeout,
		noAtomic: b.noAtomic, atomic: atomic,
	}
	if b.up, err = newLane(cfg); err != nil {
		return err
	}
	cfg.limit, cfg.limitBytes = cfg.limit/buriedShare, cfg.limitBytes/buriedShare
	if b.dead, err = newLane(cfg); err != nil {
		return err
	}
	b.events, b.giveUpEvents = newPublisher(b.conn, &b.stats)
	return nil
}

func (b *Bus) noAtomic() {
	b.cfg.Log.Warn("nats: no atomic batches here (they need nats-server 2.12): messages are stored one by one, which is slower")
}

// storeBroken notes that the embedded server's disk failed, says so once, and
// starts mending. It is called by the server, under its locks.
func (b *Bus) storeBroken() {
	if !b.link.setBroken(true) || b.phase.CompareAndSwap(opening, failed) {
		return
	}
	b.cfg.Log.Error("nats.embedded.dir: a write failed; nothing is acknowledged until the disk takes writes again",
		"dir", b.cfg.Embedded.Dir)
	b.mending.Go(b.mend)
}

// mend restarts the embedded server until it stores again.
func (b *Bus) mend() {
	t := time.NewTicker(mendPause)
	defer t.Stop()
	for {
		select {
		case <-b.quit:
			return
		case <-t.C:
		}
		if b.server.restart() == nil && b.restored() {
			b.up.silent.Store(0)
			b.dead.silent.Store(0)
			b.link.setBroken(false)
			b.cfg.Log.Info("nats.embedded.dir: the disk takes writes again", "dir", b.cfg.Embedded.Dir)
			return
		}
	}
}

// restored waits for the connection to the new server and sees to its streams.
func (b *Bus) restored() bool {
	ctx, cancel := context.WithTimeout(context.Background(), connectPatience)
	defer cancel()
	for !b.conn.IsConnected() {
		if !pause(ctx, connectPause/10) {
			return false
		}
	}
	_, err := ensureStreams(ctx, b.conn, b.cfg)
	return err == nil
}

// Errors of Ready.
var (
	errDisconnected = errors.New("nats: not connected")
	errBroken       = errors.New("the data directory's disk takes no writes")
	errSilent       = errors.New("nats: the store does not answer")
)

// Ready is nil while messages can be stored, and else says why not.
func (b *Bus) Ready() error {
	link := b.link.state()
	switch {
	case b.up.queue.isClosed():
		return ErrClosed
	case link.broken:
		return errBroken
	case !link.up:
		return errDisconnected
	case b.up.isSilent():
		return errSilent
	}
	return nil
}

// ClientURL is where subscribers connect: the embedded server's real address, or the
// server of Config.URL that is connected now, without user, password or token.
func (b *Bus) ClientURL() string {
	if b.server != nil {
		return b.server.current.Load().ClientURL()
	}
	return redacted(b.conn.ConnectedUrl())
}

// FsyncCost is what appending 4 KiB to a file and fsyncing it cost at Open, the median of
// some; 0 with Config.URL.
func (b *Bus) FsyncCost() time.Duration { return b.fsync }

// Close refuses new messages with ErrClosed, writes what waits, then the
// events, and takes down connections and server. At ctx's end it answers what still
// waits with ErrClosed instead. It may be called again, for the same error.
func (b *Bus) Close(ctx context.Context) error {
	b.closing.Do(func() {
		var lanes sync.WaitGroup
		lanes.Go(func() { b.up.close(ctx.Done()) })
		lanes.Go(func() { b.dead.close(ctx.Done()) })
		lanes.Wait()
		b.events.close(ctx.Done(), b.giveUpEvents)
		close(b.quit)
		b.closed = b.disconnect()
	})
	return b.closed
}

// disconnect undoes connect, as far as it came.
func (b *Bus) disconnect() error {
	b.mending.Wait()
	for _, l := range []*lane{b.up, b.dead} {
		if l != nil {
			l.queue.close()
			<-l.done
		}
	}
	if b.events != nil {
		b.giveUpEvents()
		b.events.close(nil, b.giveUpEvents)
	}
	if b.peers != nil && b.peers != b.conn {
		b.peers.Close()
	}
	if b.relayed != nil {
		b.relayed.Close()
	}
	if b.conn != nil {
		b.conn.Close()
	}
	if b.server != nil {
		return b.server.close()
	}
	return nil
}
