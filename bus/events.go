package bus

import (
	"bytes"
	"context"
	"crypto/rand"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// Bounds of the events' way out.
const (
	maxEvents     = 1024 // waiting; more are dropped and counted
	eventTries    = 6
	eventPatience = 2 * time.Second        // for one answer
	eventPause    = 100 * time.Millisecond // before the second try, doubled each time: 3.1 s in all
)

// eventType is the content type of CloudEvents' structured JSON.
const eventType = "application/cloudevents+json"

// headEventType is how CloudEvents' NATS binding and contract section 5 write
// it; NATS tells apart what differs in case.
const headEventType = "content-type"

type event struct {
	name string
	body []byte
}

// publisher writes events, one after the other, beside the lanes.
type publisher struct {
	conn   *nats.Conn
	stats  *counters
	queue  chan event
	done   chan struct{}
	prefix string // makes the events' ids unique
	number uint64

	mu     sync.RWMutex // guards closed, and queue against a send after its close
	closed bool
}

// newPublisher makes a publisher and starts its goroutine, which ends after close.
func newPublisher(conn *nats.Conn, stats *counters) (*publisher, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	p := &publisher{
		conn: conn, stats: stats, queue: make(chan event, maxEvents),
		done: make(chan struct{}), prefix: rand.Text() + "-",
	}
	go p.run(ctx)
	return p, cancel
}

// PublishEvent sends event, CloudEvents' structured JSON, to weir.events.<name>,
// in order and once. It copies event and never blocks: if maxEvents wait, or
// NATS does not take it in some seconds, the event is dropped and counted in
// Stats.Dropped. name is one token of the gateway's own ("offenders").
func (b *Bus) PublishEvent(name string, event []byte) { b.events.add(name, event) }

func (p *publisher) add(name string, body []byte) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.closed {
		p.stats.dropped.Add(1)
		return
	}
	select {
	case p.queue <- event{name, bytes.Clone(body)}:
	default:
		p.stats.dropped.Add(1)
	}
}

func (p *publisher) run(ctx context.Context) {
	defer close(p.done)
	for e := range p.queue {
		if p.publish(ctx, e) {
			p.stats.published.Add(1)
		} else {
			p.stats.dropped.Add(1)
		}
	}
}

// publish tries until the event is confirmed; its id makes the tries one.
func (p *publisher) publish(ctx context.Context, e event) bool {
	p.number++
	m := &nats.Msg{
		Subject: prefixEvents + "." + string(AppendToken(nil, e.name)), Data: e.body,
		Header: nats.Header{
			headEventType: {eventType},
			headMsgID:     {p.prefix + strconv.FormatUint(p.number, 36)},
		},
	}
	wait := eventPause
	for range eventTries {
		if p.try(ctx, m) {
			return true
		}
		if !pause(ctx, wait) {
			return false
		}
		wait *= 2
	}
	return false
}

func (p *publisher) try(ctx context.Context, m *nats.Msg) bool {
	ctx, cancel := context.WithTimeout(ctx, eventPatience)
	defer cancel()
	answer, err := p.conn.RequestMsgWithContext(ctx, m)
	return err == nil && judge(answer, "", 0) == stored
}

// close lets no more in and waits until the rest is out or given up.
func (p *publisher) close(cancelled <-chan struct{}, giveUp context.CancelFunc) {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		close(p.queue)
	}
	p.mu.Unlock()
	select {
	case <-p.done:
	case <-cancelled:
	}
	giveUp()
	<-p.done
}
