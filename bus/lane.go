package bus

import (
	"crypto/rand"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// Bounds of a batch.
const (
	// maxBatch is the most messages that a server takes in one atomic batch,
	// unless its operator lowered it.
	maxBatch = 1000
	// maxBatchBytes keeps a batch's time on a slow disk well under the timeout.
	maxBatchBytes = 8 << 20
	// crossover is the fewest messages that are worth an atomic batch; fewer go
	// singly, one behind the other. BenchmarkCrossover, together against singly,
	// where a message alone takes 0.16 ms: 10 messages 2.4 against 1.6 ms, 15
	// 2.5 against 2.3, 20 2.6 against 3.2. A slower fsync moves it down (a batch is
	// four of them), but then either is slow.
	crossover = 20
)

// retryPause is how long a lane waits before it asks again a store that said
// "not now".
const retryPause = 100 * time.Millisecond

// laneConfig is what a lane is made of; every field is required.
type laneConfig struct {
	conn              *nats.Conn
	link              *link
	stats             *counters
	swept             func()
	limit, limitBytes int
	timeout           time.Duration
	noAtomic          func() // called once, when it turns out that batches are not to be had
	atomic            bool
}

// lane is one stream's way up: a queue, and one committer that writes one batch
// at a time. So a device is never in two batches at once, and its messages are
// stored in the order they came.
type lane struct {
	laneConfig
	queue    *queue
	replies  replies
	patience time.Duration // from Submit to the answer
	silent   atomic.Int64  // since when the store does not answer, Unix nanoseconds; 0: it does
	// lastSilence is when the store last left an attempt unanswered, Unix nanoseconds.
	lastSilence atomic.Int64
	kill        chan struct{} // closed: answer everything with ErrClosed, now
	done        chan struct{} // closed when the committer has ended

	// The committer's own.
	name      string // makes its batches' ids unique
	frame     *frame
	sequences [maxBatch + 1]string
	together  int  // the most messages that the server takes in a batch
	full      bool // the store said so during this batch
	finished  []*message
	keyed     []*message
	timer     *time.Timer
}

// newLane makes a lane and starts its committer, which ends after queue.close.
func newLane(cfg laneConfig) (*lane, error) {
	l := &lane{
		laneConfig: cfg,
		queue:      newQueue(cfg.limit, cfg.limitBytes),
		replies:    replies{prefix: cfg.conn.NewInbox() + "."},
		// A tenth is left for a write that hangs (writeTimeout).
		patience: cfg.timeout - cfg.timeout/10,
		kill:     make(chan struct{}),
		done:     make(chan struct{}),
		name:     rand.Text()[:16] + "-",
		frame:    newFrame(),
		together: maxBatch,
		timer:    time.NewTimer(0),
	}
	for i := range l.sequences {
		l.sequences[i] = strconv.Itoa(i)
	}
	if _, err := cfg.conn.Subscribe(l.replies.prefix+"*.*", l.replies.receive); err != nil {
		return nil, err
	}
	go l.run()
	return l, nil
}

// run is the committer. While it writes one batch, the next gathers.
func (l *lane) run() {
	defer close(l.done)
	batch := make([]*message, 0, maxBatch)
	for {
		batch = l.queue.take(batch)
		if len(batch) == 0 {
			return
		}
		l.commit(batch)
	}
}

// commit answers every message of batch.
func (l *lane) commit(batch []*message) {
	l.full = false
	plain, keyed := l.partition(batch)
	l.settleTogether(plain)
	l.sweep()
	l.settleSingly(keyed)
	l.sweep()
}

// device is whom a message is in order with.
type device struct{ account, name string }

func (m *message) device() device { return device{m.record.Account, m.record.Device} }

// partition splits a batch, in place and in order, into what may be written
// together and what goes singly: the messages of devices that sent one with an
// id, since a single repeated id fails a whole batch.
func (l *lane) partition(batch []*message) (plain, keyed []*message) {
	var single map[device]struct{}
	for _, m := range batch {
		if m.record.MsgID != "" {
			if single == nil {
				single = make(map[device]struct{})
			}
			single[m.device()] = struct{}{}
		}
	}
	if single == nil {
		return batch, nil
	}
	plain, keyed = batch[:0], l.keyed[:0]
	for _, m := range batch {
		if _, ok := single[m.device()]; ok {
			keyed = append(keyed, m)
		} else {
			plain = append(plain, m)
		}
	}
	l.keyed = keyed
	return plain, keyed
}

// ready is those of ms that are still to be stored, once the store can be
// reached; the others are finished.
func (l *lane) ready(ms []*message) []*message {
	for {
		if ms = l.expire(ms); len(ms) == 0 {
			return nil
		}
		link := l.link.state()
		switch {
		case l.killed():
			return l.finishAll(ms, ErrClosed)
		case l.full, link.broken:
			return l.finishAll(ms, ErrAway)
		case link.up:
			return ms
		}
		l.wait(nil, link.changed, time.Until(l.deadline(ms)))
	}
}

// expire finishes the first of ms, as far as their time is over, and answers them.
func (l *lane) expire(ms []*message) []*message {
	now, before := time.Now(), len(l.finished)
	for len(ms) > 0 && now.Sub(ms[0].since) >= l.patience {
		l.finish(ms[0], ErrAway)
		ms = ms[1:]
	}
	if len(l.finished) > before {
		l.sweep()
	}
	return ms
}

// deadline is when the first of ms, which came first, is to be answered.
func (l *lane) deadline(ms []*message) time.Time { return ms[0].since.Add(l.patience) }

// isSilent tells whether the store lately left messages without an answer.
// With no messages to try it by, it is believed to be back after a while.
func (l *lane) isSilent() bool {
	return l.silent.Load() != 0 && time.Since(time.Unix(0, l.lastSilence.Load())) < l.patience
}

func (l *lane) killed() bool {
	select {
	case <-l.kill:
		return true
	default:
		return false
	}
}

// wait waits for done, a change of the link, the end of the lane, or d.
func (l *lane) wait(done, changed <-chan struct{}, d time.Duration) {
	l.timer.Reset(d)
	select {
	case <-done:
	case <-changed:
	case <-l.kill:
	case <-l.timer.C:
	}
}

// finish notes how m ended; sweep tells its Completer.
func (l *lane) finish(m *message, err error) {
	m.err = err
	l.finished = append(l.finished, m)
}

func (l *lane) finishAll(ms []*message, err error) []*message {
	for _, m := range ms {
		l.finish(m, err)
	}
	return nil
}

// sweep hands back everything finished, so that a transport can write many
// acknowledgements at once.
func (l *lane) sweep() {
	if len(l.finished) == 0 {
		return
	}
	now := time.Now()
	for i, m := range l.finished {
		l.stats.finish(m.err, now.Sub(m.since))
		m.completer.Complete(m.tag, m.err)
		m.recycle()
		l.finished[i] = nil
	}
	l.finished = l.finished[:0]
	l.swept()
}

// close lets no more in and waits until everything is answered; once cancel is
// closed, with ErrClosed.
func (l *lane) close(cancel <-chan struct{}) {
	l.queue.close()
	select {
	case <-l.done:
	case <-cancel:
		close(l.kill)
		<-l.done
	}
}
