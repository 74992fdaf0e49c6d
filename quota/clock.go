package quota

import "time"

// Clock tells the time. Now must be cheap (it is called once a check) and safe
// for concurrent use. It may jump either way: a jump harms no key for longer
// than one window.
type Clock interface{ Now() time.Time }

// SystemClock is the machine's clock.
type SystemClock struct{}

// Now returns time.Now.
func (SystemClock) Now() time.Time { return time.Now() }
