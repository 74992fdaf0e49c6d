package quota

import (
	"errors"
	"time"
)

// Kind is how a window begins and ends. A new kind is a file of its own, which
// implements arithmetic, and a line in kinds.
type Kind uint8

// The kinds.
const (
	KindFixed   Kind = iota // a window begins at the first request
	KindClock               // windows are aligned to the Unix epoch
	KindSliding             // at any time, what was admitted in the time before
	KindToken               // a bucket of tokens that refills evenly
)

var kinds = [...]struct {
	name string
	arithmetic
}{
	KindFixed:   {"fixed", fixedWindow{}},
	KindClock:   {"clock", clockWindow{}},
	KindSliding: {"sliding", slidingWindow{}},
	KindToken:   {"token", tokenBucket{}},
}

func (k Kind) String() string {
	if int(k) < len(kinds) {
		return kinds[k].name
	}
	return "unknown"
}

// ErrKind says that a text names no Kind.
var ErrKind = errors.New("expected fixed, clock, sliding or token")

// ParseKind reads a Kind's name; ErrKind for any other text.
func ParseKind(s string) (Kind, error) {
	for i, k := range kinds {
		if k.name == s {
			return Kind(i), nil
		}
	}
	return 0, ErrKind
}

// MaxQuota is the largest quota of a policy, but for Unlimited: fixed and clock
// windows keep their count in 28 bits beside their start.
const MaxQuota = 1<<28 - 1

// MaxWindow is the longest window: well under half of the time (two years) after
// which the start of a fixed window would be taken for another.
const MaxWindow = 30 * 24 * time.Hour

// state is a bucket's counter in memory. The zero state has counted nothing.
// What the words mean its kind knows; fixed and clock use one, token two.
type state [6]uint64

// shape is what a kind needs to know of its policy.
type shape struct {
	quota  uint32
	window int64 // ms
	grain  int64 // ms, of KindSliding: a tenth of the window
}

func newShape(p *Policy) shape {
	window := p.Window.Milliseconds()
	return shape{quota: p.Quota, window: window, grain: grainOf(window)}
}

// arithmetic is a kind: pure functions of a state, a shape and the time in Unix
// milliseconds, which may jump either way between two calls.
type arithmetic interface {
	// settle brings s to now: what has ended is dropped. Where the clock was
	// set back s keeps its count, and is over one window from now at the latest.
	// The methods below take s as it stands after settle at the same now.
	settle(s *state, b shape, now int64)
	// reading is what s holds: how many admitted requests count, and how many
	// milliseconds it takes until none does.
	reading(s *state, b shape, now int64) (used uint32, reset int64)
	// wait is how many milliseconds it takes until cost more fit; cost is at
	// most the quota, and does not fit now.
	wait(s *state, b shape, now int64, cost uint32) int64
	// take adds cost, which fits.
	take(s *state, b shape, now int64, cost uint32)
}
