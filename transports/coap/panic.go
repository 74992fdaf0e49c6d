package coap

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/weirgate/weir/transports"
)

// contained handles one datagram; a panic costs that datagram alone.
func (f *front) contained(ctx context.Context, d *datagram) {
	f.tag = 0
	defer f.s.contain(&f.tag)
	f.handle(ctx, d)
}

// contain, deferred, keeps a panic from ending more than the exchange of tag,
// which it answers 5.00, so that a retransmission gets that and is not handled
// again. A tag of 0 is none: the datagram gets silence.
func (s *Server) contain(tag *uint64) {
	p := recover()
	if p == nil {
		return
	}
	s.counts.panics.Add(1)
	if s.alarm.due(s.cfg.Now()) {
		s.cfg.Log.Error("coap: a datagram made weir panic, and is lost; others are served. Please report this",
			"kind", fmt.Sprintf("%T", p), "at", where())
	}
	if *tag != 0 {
		sorry := refused(transports.Internal, "")
		s.finish(*tag, &sorry)
		s.Flush()
	}
}

// alarmEvery is how often a panic is logged at most: whoever found one may send
// thousands a second.
const alarmEvery = time.Minute

// alarm tells what may be logged. It is safe for concurrent use.
type alarm struct {
	mu   sync.Mutex
	last time.Time // zero: never
}

// due tells whether one is due at now, and counts it as told.
func (a *alarm) due(now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.last.IsZero() && now.Sub(a.last).Abs() < alarmEvery {
		return false
	}
	a.last = now
	return true
}

// maxFrames is how many calls where names: from the panic to the read loop,
// through the Gate and the store.
const maxFrames = 24

// where is the calls that led here, innermost first, by function and line. It
// leaves out what debug.Stack tells besides: arguments, and with them content.
func where() string {
	pcs := make([]uintptr, maxFrames)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)]) // from the caller of contain on
	var b strings.Builder
	for {
		frame, more := frames.Next()
		fmt.Fprintf(&b, "%s:%d ", frame.Function, frame.Line)
		if !more {
			return strings.TrimSuffix(b.String(), " ")
		}
	}
}
