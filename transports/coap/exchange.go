package coap

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
)

// The message layer's times (RFC 7252 4.8).
const (
	ackDelay         = time.Second     // after which a CON gets an empty ACK (contract section 3)
	ackTimeout       = 2 * time.Second // ACK_TIMEOUT
	ackRandomPercent = 50              // ACK_RANDOM_FACTOR 1.5
	maxRetransmit    = 4               // MAX_RETRANSMIT
)

// phase is how far an exchange is.
type phase uint8

const (
	free      phase = iota
	pending         // the store or the service has not answered
	separated       // so too, and the peer has its empty ACK
	delivered       // a separate response awaits its acknowledgement
)

// exchange is one request that is not answered for good.
type exchange struct {
	remote   endpoint
	local    address
	hash     uint64 // in the dedup table
	gen      uint32 // of the tag, so that an old one finds nothing
	asked    uint16 // the request's length
	mid      uint16 // the request's; once delivered, the response's
	kind     message.Type
	phase    phase
	block1   block
	token    [message.MaxTokenSize]byte
	tokenLen uint8
	tries    uint8         // delivered: transmissions so far, less one
	timeout  time.Duration // delivered: until the next
	packet   []byte        // delivered: what is sent again
	code     byte          // delivered: what packet says
	maxAge   uint8
}

// answerTo is the place of the exchange's response.
func (e *exchange) answerTo() envelope {
	return envelope{kind: e.kind, mid: e.mid, token: e.token[:e.tokenLen], asked: int(e.asked)}
}

// transmission is a message id of ours towards a peer.
type transmission struct {
	remote endpoint
	mid    uint16
}

// pool holds every exchange there may be. It is safe for concurrent use.
type pool struct {
	mu        sync.Mutex // guards the fields up to the blank line
	exchanges []exchange
	spare     []int32
	wheel     *wheel
	awaiting  map[transmission]int32 // the delivered ones

	owed atomic.Int64  // those whose answer is not gathered yet
	idle chan struct{} // holds a token once owed has come down to 0
}

func newPool(n int, epoch time.Time) *pool {
	p := &pool{
		exchanges: make([]exchange, n), spare: make([]int32, n),
		wheel: newWheel(n, epoch), awaiting: map[transmission]int32{},
		idle: make(chan struct{}, 1),
	}
	for i := range p.spare {
		p.spare[i] = int32(n - 1 - i)
	}
	return p
}

func tagOf(i int32, gen uint32) uint64 { return uint64(gen)<<32 | uint64(i) }

// begin takes an exchange for a request that came at now; ok is false if there
// is none left.
func (p *pool) begin(e *exchange, now time.Time) (tag uint64, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.spare) == 0 {
		return 0, false
	}
	i := p.spare[len(p.spare)-1]
	p.spare = p.spare[:len(p.spare)-1]
	e.gen = p.exchanges[i].gen + 1
	e.phase = pending
	p.exchanges[i] = *e
	p.owed.Add(1)
	if e.kind == message.Acknowledgement {
		p.wheel.add(i, now.Add(ackDelay))
	}
	return tagOf(i, e.gen), true
}

// find is the open exchange of a tag; nil if it is over.
func (p *pool) find(tag uint64) (int32, *exchange) {
	i := uint32(tag)
	if int(i) >= len(p.exchanges) {
		return none, nil
	}
	e := &p.exchanges[i]
	if e.gen != uint32(tag>>32) || e.phase == free || e.phase == delivered {
		return none, nil
	}
	return int32(i), e
}

// over tells whether the exchange of a tag has its answer.
func (p *pool) over(tag uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, e := p.find(tag)
	return e == nil
}

// end takes the exchange of a tag out of those that are owed an answer, and
// gives a copy; paid is to be called when the answer is gathered. One whose peer
// has its empty ACK stays in the pool, for deliver.
func (p *pool) end(tag uint64) (exchange, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i, e := p.find(tag)
	if e == nil {
		return exchange{}, false
	}
	old := *e
	p.wheel.remove(i)
	if old.phase == separated {
		e.phase = delivered
		return old, true
	}
	p.release(i)
	return old, true
}

func (p *pool) release(i int32) {
	p.exchanges[i].phase = free
	p.exchanges[i].packet = nil
	p.spare = append(p.spare, i)
}

// deliver keeps what e has as packet, a CON response with message id e.mid,
// until its peer acknowledges it; end gave e for this tag.
func (p *pool) deliver(tag uint64, e *exchange, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := int32(uint32(tag))
	e.phase, e.tries = delivered, 0
	e.timeout = ackTimeout + rand.N(ackTimeout*ackRandomPercent/100)
	p.exchanges[i] = *e
	p.awaiting[transmission{e.remote, e.mid}] = i
	p.wheel.add(i, now.Add(e.timeout))
}

// settle ends the delivered exchange that a peer acknowledged or reset, and
// gives a copy; ok is false if there is none.
func (p *pool) settle(t transmission) (exchange, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i, ok := p.awaiting[t]
	if !ok {
		return exchange{}, false
	}
	old := p.exchanges[i]
	p.wheel.remove(i)
	p.abandon(i)
	return old, true
}

// abandon lets go of a delivered exchange that is in the wheel no more.
func (p *pool) abandon(i int32) {
	e := &p.exchanges[i]
	delete(p.awaiting, transmission{e.remote, e.mid})
	p.release(i)
}

// next takes one exchange whose time has come and gives a copy: a separated one
// gets its empty ACK now; a delivered one is sent again, or has been abandoned
// if its tries are over maxRetransmit.
func (p *pool) next(now time.Time) (exchange, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := p.wheel.due(now)
	if i == none {
		return exchange{}, false
	}
	e := &p.exchanges[i]
	if e.phase == pending {
		e.phase = separated
		return *e, true
	}
	e.tries++
	old := *e
	if e.tries > maxRetransmit {
		p.abandon(i)
		return old, true
	}
	e.timeout *= 2
	p.wheel.add(i, now.Add(e.timeout))
	return old, true
}

// paid tells that an exchange which end gave has its answer gathered: only then
// may a Shutdown that waits for it go on to send and close.
func (p *pool) paid() {
	if p.owed.Add(-1) != 0 {
		return
	}
	select {
	case p.idle <- struct{}{}:
	default:
	}
}

// drain waits until no answer is owed, or ctx ends. No exchange may begin
// meanwhile.
func (p *pool) drain(ctx context.Context) error {
	for p.owed.Load() > 0 {
		select {
		case <-p.idle:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// inUse is the number of exchanges held.
func (p *pool) inUse() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.exchanges) - len(p.spare)
}
