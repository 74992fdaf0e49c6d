package quota

import "time"

// window is the arithmetic of one fixed window, apart from where it is stored.
// It begins at its first request and holds what was admitted since. Times are
// Unix milliseconds. The zero window has not begun.
type window struct {
	start    int64
	used     uint32 // admitted
	refusing bool   // the last request was refused
}

// live tells whether w has begun and not ended.
func (w window) live(now, length int64) bool {
	return (w.used > 0 || w.refusing) && now-w.start < length
}

// exceeded tells whether w is live and refuses; raising quota may end that.
func (w window) exceeded(now int64, p *Policy) bool {
	return w.refusing && w.used >= p.Quota && w.live(now, p.millis())
}

// at is w as it stands at now: a new window once it has ended. If the clock was
// set back, w keeps its count and begins again now, so that nobody waits for
// longer than one window whatever the clock did.
func (w window) at(now, length int64) window {
	if !w.live(now, length) {
		return window{start: now}
	}
	w.start = min(w.start, now)
	return w
}

// take charges one request to w, which must be as it stands now, or refuses it.
func (w window) take(quota uint32) (window, bool) {
	if w.used >= quota {
		w.refusing = true
		return w, false
	}
	w.used++
	w.refusing = false
	return w, true
}

// decision is what a caller is told of w, which must be as it stands now. A
// quota of 0 is no Never: it refuses as any full window does.
func (w window) decision(now int64, p *Policy) Decision {
	return Decision{
		Policy:  p,
		Refused: w.refusing && w.used >= p.Quota,
		Used:    min(w.used, p.Quota), // a reload may have lowered the quota
		Reset:   time.Duration(w.start+p.millis()-now) * time.Millisecond,
	}
}

// millis is the length of p's window in milliseconds.
func (p *Policy) millis() int64 { return p.Window.Milliseconds() }
