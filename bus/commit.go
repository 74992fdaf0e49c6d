package bus

import (
	"errors"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

// settleTogether answers ms, writing them in as few atomic batches as it can.
// A batch that the server refuses is halved until the message at fault stands
// alone: the others do not pay for it.
func (l *lane) settleTogether(ms []*message) {
	for l.atomic && len(ms) >= crossover {
		if len(ms) > l.together {
			l.halve(ms)
			return
		}
		if ms = l.ready(ms); len(ms) < crossover {
			break
		}
		switch l.tryBatch(ms) {
		case stored:
			l.finishAll(ms, nil)
			return
		case silence:
			maybeStored(ms)
		case later:
			l.rest(ms)
		case disabled:
			l.atomic = false
			l.noAtomic()
		case tooMany:
			l.together = max(len(ms)/2, 1)
		default:
			l.halve(ms)
			return
		}
	}
	l.settleSingly(ms)
}

func (l *lane) halve(ms []*message) {
	half := len(ms) / 2
	l.settleTogether(ms[:half])
	l.settleTogether(ms[half:])
}

// maybeStored marks what is sent again after an unknown outcome; an id says as much.
func maybeStored(ms []*message) {
	for _, m := range ms {
		m.maybe = m.record.MsgID == ""
	}
}

// rest waits a moment before the store is asked again.
func (l *lane) rest(ms []*message) {
	l.wait(nil, nil, min(retryPause, time.Until(l.deadline(ms))))
}

// tryBatch writes ms as one atomic batch and says what became of all of them.
func (l *lane) tryBatch(ms []*message) verdict {
	a := l.replies.begin(1)
	a.batch, a.count = l.name+strconv.FormatUint(l.replies.number, 36), len(ms)
	l.stats.batches.Add(1)
	changed := l.link.state().changed
	last := len(ms) - 1
	for i, m := range ms {
		l.frame.fill(m)
		l.frame.inBatch(a.batch, l.sequences[i+1])
		if i == last {
			l.frame.set(headCommit, "1")
			l.frame.msg.Reply = a.subject + "0"
		}
		if err := l.conn.PublishMsg(&l.frame.msg); err != nil {
			return unsent(err, i == last)
		}
	}
	return l.await(a, changed, ms)[0]
}

// unsent is what a failed publish means. Without its commit a batch is never
// stored; of the commit itself some bytes may have gone.
func unsent(err error, commit bool) verdict {
	switch {
	case errors.Is(err, nats.ErrMaxPayload):
		return tooLarge
	case commit && !errors.Is(err, nats.ErrReconnectBufExceeded):
		return silence
	}
	return later
}

// settleSingly answers ms, each published for itself, one behind the other
// without waiting in between.
func (l *lane) settleSingly(ms []*message) {
	for {
		if ms = l.ready(ms); len(ms) == 0 {
			return
		}
		ms = l.trySingly(ms)
		l.sweep()
	}
}

// trySingly publishes ms and is those that are to be tried again.
func (l *lane) trySingly(ms []*message) []*message {
	a := l.replies.begin(len(ms))
	changed := l.link.state().changed
	sent := len(ms)
	for i, m := range ms {
		l.frame.fill(m)
		l.frame.msg.Reply = a.subject + l.sequences[i]
		if err := l.conn.PublishMsg(&l.frame.msg); err != nil {
			sent = i
			if errors.Is(err, nats.ErrMaxPayload) {
				a.fail(i, tooLarge)
			}
			break
		}
	}
	a.fail(sent, later)
	verdicts := l.await(a, changed, ms)
	if hasLater(verdicts) {
		l.rest(ms)
	}
	return l.sort(ms, verdicts)
}

// fail gives the answers from number i on that will not come; the first that
// is given stays.
func (a *attempt) fail(i int, v verdict) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for ; i < len(a.verdicts); i++ {
		if a.verdicts[i] == silence {
			a.verdicts[i] = v
			a.left--
		}
		if v == tooLarge {
			break
		}
	}
	if a.left == 0 {
		a.closeDone()
	}
}

// hasLater tells whether nothing was stored but something may be later.
func hasLater(verdicts []verdict) bool {
	found := false
	for _, v := range verdicts {
		if v == stored {
			return false
		}
		found = found || v == later
	}
	return found
}

// sort finishes what the verdicts decide and is the rest, in order. What came
// before something stored is not tried again: it would be stored out of order.
func (l *lane) sort(ms []*message, verdicts []verdict) []*message {
	lastStored := -1
	for i, v := range verdicts {
		if v == stored {
			lastStored = i
		}
	}
	again := ms[:0]
	for i, v := range verdicts {
		m := ms[i]
		switch {
		case v == stored:
			l.finish(m, nil)
		case v == tooLarge:
			l.finish(m, ErrTooLarge)
		case v == full:
			l.full = true
			l.finish(m, ErrAway)
		case v != silence && v != later, i < lastStored:
			l.finish(m, ErrAway)
		default:
			m.maybe = m.maybe || v == silence && m.record.MsgID == ""
			again = append(again, m)
		}
	}
	return again
}

// await waits for the answers to a: until all have come, the connection
// changes, the first message's time is over, or attemptShare of a message's
// time. It notes whether the store answers at all.
func (l *lane) await(a *attempt, changed <-chan struct{}, ms []*message) []verdict {
	l.wait(a.done, changed, min(time.Until(l.deadline(ms)), l.patience*attemptShare/10))
	verdicts := a.result()
	for _, v := range verdicts {
		if v != silence {
			l.silent.Store(0)
			return verdicts
		}
	}
	now := time.Now().UnixNano()
	l.silent.CompareAndSwap(0, now)
	l.lastSilence.Store(now)
	return verdicts
}

// attemptShare is how many tenths of its time a message waits for an answer before
// it is sent again: a server that lost it in a change of leaders never answers.
const attemptShare = 4
