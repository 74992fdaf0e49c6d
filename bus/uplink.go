package bus

import (
	"sync"
	"time"
)

// buriedShare is the part of Config.Limit and LimitBytes that buried messages
// have for themselves.
const buriedShare = 10

// maxReason is the most of a reason that is kept, in bytes.
const maxReason = 1 << 10

// Submit puts r on its way to weir.up.<account>.<device>.<kind>, in order per
// device. nil promises that c is called once with tag within Config.Timeout;
// otherwise the error is ErrFull, ErrAway, ErrSubject, ErrTooLarge or ErrClosed,
// and c is not called. It never blocks and is safe for concurrent use.
func (b *Bus) Submit(r *Record, c Completer, tag uint64) error {
	subject, err := subjectOf(prefixUp, r.Account, r.Device, r.Kind)
	if err != nil {
		return b.stats.refuse(err)
	}
	m := newMessage(subject, r)
	return b.enqueue(b.up, m, c, tag)
}

// Bury keeps a message that could not be taken, at weir.dead.<account>.<device>
// with the reason (its first KiB) in the header Weir-Reason. It promises as Submit does.
func (b *Bus) Bury(r *Record, reason string, c Completer, tag uint64) error {
	subject, err := subjectOf(prefixDead, r.Account, r.Device, "")
	if err != nil {
		return b.stats.refuse(err)
	}
	m := newMessage(subject, r)
	m.reason = reason[:min(len(reason), maxReason)]
	if err := b.enqueue(b.dead, m, c, tag); err != nil {
		return err
	}
	b.stats.buried.Add(1)
	return nil
}

func (b *Bus) enqueue(l *lane, m *message, c Completer, tag uint64) error {
	m.completer, m.tag = c, tag
	err := b.admit(l, m)
	if err == nil {
		err = l.queue.push(m)
	}
	if err != nil {
		m.recycle()
		return b.stats.refuse(err)
	}
	return nil
}

// admit refuses what cannot be stored now or ever.
func (b *Bus) admit(l *lane, m *message) error {
	if m.headerBytes() > maxHeader || int64(m.wire()) > b.maxPayload.Load() {
		return ErrTooLarge
	}
	link := b.link.state()
	if link.broken || !link.up && time.Since(link.since) > l.patience {
		return ErrAway
	}
	// Connected, but the store has not answered for as long as a message may
	// wait: one batch at a time finds out whether it is back.
	if since := l.silent.Load(); since != 0 && time.Since(time.Unix(0, since)) > l.patience && l.queue.len() > 0 {
		return ErrAway
	}
	return nil
}

// queue holds the batch being gathered, bounded in messages and bytes.
type queue struct {
	limit, limitBytes int
	wake              chan struct{} // holds one token while there may be something to take

	mu     sync.Mutex // guards the fields below
	list   []*message
	bytes  int
	closed bool
}

func newQueue(limit, limitBytes int) *queue {
	return &queue{limit: max(limit, 1), limitBytes: limitBytes, wake: make(chan struct{}, 1)}
}

// push appends m: ErrFull or ErrClosed if it may not.
func (q *queue) push(m *message) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	size, limit, limitBytes := m.memory(), q.limit, q.limitBytes
	if m.record.Unpromised {
		limit, limitBytes = limit/2, limitBytes/2
	}
	switch {
	case q.closed:
		return ErrClosed
	case len(q.list) >= limit, q.bytes+size > limitBytes:
		return ErrFull
	}
	q.list = append(q.list, m)
	q.bytes += size
	q.signal()
	return nil
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take moves the oldest messages, at most maxBatch and maxBatchBytes of them,
// into batch. It blocks until there is one; nothing after close is the end.
func (q *queue) take(batch []*message) []*message {
	for range q.wake {
		batch = q.grab(batch[:0])
		if len(batch) > 0 || q.done() {
			return batch
		}
	}
	return nil
}

func (q *queue) grab(batch []*message) []*message {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, size := 0, 0
	for n < len(q.list) && n < maxBatch {
		size += q.list[n].wire()
		if n > 0 && size > maxBatchBytes {
			break
		}
		q.bytes -= q.list[n].memory()
		n++
	}
	batch = append(batch, q.list[:n]...)
	rest := copy(q.list, q.list[n:])
	clear(q.list[rest:])
	q.list = q.list[:rest]
	if rest > 0 || q.closed {
		q.signal()
	}
	return batch
}

func (q *queue) done() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed && len(q.list) == 0
}

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.list)
}

// close lets no more in; what is in can still be taken.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.signal()
}

func (q *queue) isClosed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}
