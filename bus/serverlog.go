package bus

import (
	"fmt"
	"strings"
	"time"
)

// Fatalf keeps why the server did not start.
func (l *serverLog) Fatalf(format string, v ...any) {
	listen := strings.HasPrefix(format, "Error listening")
	text := fmt.Sprintf(format, v...)
	if listen && len(v) > 1 {
		text = fmt.Sprint(v[1:]...)
		if err, ok := v[1].(error); ok {
			text = cause(err).Error()
		}
	}
	l.fatal.CompareAndSwap(nil, &fatalLine{strings.ReplaceAll(text, "\n", " "), listen})
}

// Errorf passes JetStream's errors on. The formats are those of nats-server
// 2.15's stream.go and jetstream.go; a test writes to a full disk, and so fails if
// they change.
func (l *serverLog) Errorf(format string, v ...any) {
	if strings.Contains(format, "critical write error") ||
		strings.Contains(format, "failed to store a msg") ||
		strings.Contains(format, "will be DISABLED") ||
		strings.Contains(format, "disabling JetStream") {
		l.broken()
	}
	l.complain(format, v)
}

// Warnf passes JetStream's warnings on.
func (l *serverLog) Warnf(format string, v ...any) {
	if strings.Contains(format, "disabling JetStream") {
		l.broken()
	}
	l.complain(format, v)
}

// complain logs a line of JetStream's, unless there was one lately.
func (l *serverLog) complain(format string, v []any) {
	text := fmt.Sprintf(format, v...)
	if !strings.HasPrefix(text, "JetStream") && !strings.HasPrefix(text, "Filestore") {
		return
	}
	now, last := time.Now().UnixNano(), l.last.Load()
	if now-last < int64(complaintPeriod) || !l.last.CompareAndSwap(last, now) {
		return
	}
	l.log.Warn("nats-server: "+text, "key", "nats.embedded")
}

// Noticef drops a line.
func (l *serverLog) Noticef(string, ...any) {}

// Debugf drops a line.
func (l *serverLog) Debugf(string, ...any) {}

// Tracef drops a line.
func (l *serverLog) Tracef(string, ...any) {}
