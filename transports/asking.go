package transports

import (
	"sync"

	"github.com/weirgate/weir/devices"
)

// MaxAsking is how many questions of one device wait for a service at once,
// whatever connections or addresses it asks from, so that a service that is
// silent to some leaves room for others.
const MaxAsking = 4

// Asking bounds a front-end's questions that wait for a service. It is safe for
// concurrent use.
type Asking struct {
	most int

	mu  sync.Mutex // guards what follows
	all int
	by  map[devices.Device]int // at most most; none is 0
}

// NewAsking has room for most questions, MaxAsking of each device.
func NewAsking(most int) *Asking {
	return &Asking{most: most, by: make(map[devices.Device]int)}
}

// Enter takes a place for a question of d; false if there is none.
func (a *Asking) Enter(d *devices.Device) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all >= a.most || a.by[*d] >= MaxAsking {
		return false
	}
	a.all++
	a.by[*d]++
	return true
}

// Leave gives a place back that Enter took.
func (a *Asking) Leave(d *devices.Device) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all--
	if a.by[*d]--; a.by[*d] == 0 {
		delete(a.by, *d)
	}
}
