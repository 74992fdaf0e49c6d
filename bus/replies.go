package bus

import (
	"encoding/json"
	"strconv"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
)

// pubAck is JetStream's answer to a publish or to a batch's commit.
type pubAck struct {
	Seq   uint64 `json:"seq"`
	Batch string `json:"batch"`
	Count int    `json:"count"`
	Error *struct {
		Code int `json:"err_code"`
	} `json:"error"`
}

// JetStream's error codes (nats-server's errors.json).
const (
	codeAccountFull    = 10002
	codeClusterInert   = 10006
	codeNotAssigned    = 10007
	codeUnavailable    = 10008
	codeNotLeader      = 10009
	codeNoResources    = 10023
	codeNotEnabled     = 10039
	codeStorageFull    = 10047
	codeTooLarge       = 10054
	codeNoJetStream    = 10076
	codeStoreFailed    = 10077 // the stream is full and refuses
	codeHeaderTooLarge = 10097
	codeNoAtomic       = 10174
	codeBatchTooLarge  = 10199
	codeTooManyBatches = 10210
)

// verdict is what an answer says of a message or a batch.
type verdict uint8

const (
	silence  verdict = iota // no answer: the outcome is unknown
	stored                  // confirmed
	later                   // certainly not stored; a moment later it may be
	full                    // certainly not stored: no room
	tooLarge                // certainly not stored, nor ever
	tooMany                 // a batch of more messages than the server takes
	disabled                // the stream takes no batches
	refused                 // certainly not stored, for a reason of its own
)

// judge reads an answer to a plain publish; batch is the id that an answer to a
// commit must bear, for count messages, and "" for a plain publish.
func judge(m *nats.Msg, batch string, count int) verdict {
	if len(m.Data) == 0 && m.Header.Get("Status") == "503" {
		return later // nobody serves the stream just now
	}
	var ack pubAck
	if json.Unmarshal(m.Data, &ack) != nil {
		return silence
	}
	if ack.Error != nil {
		return judgeCode(ack.Error.Code)
	}
	if ack.Seq == 0 || batch != "" && (ack.Batch != batch || ack.Count != count) {
		return silence
	}
	return stored
}

func judgeCode(code int) verdict {
	switch code {
	case codeStoreFailed, codeNoResources, codeStorageFull, codeAccountFull:
		return full
	case codeTooLarge, codeHeaderTooLarge:
		return tooLarge
	case codeNoAtomic:
		return disabled
	case codeBatchTooLarge:
		return tooMany
	case codeTooManyBatches, codeUnavailable, codeNotLeader, codeNotAssigned, codeClusterInert, codeNoJetStream, codeNotEnabled:
		return later
	}
	return refused
}

// attempt is one try to store some messages. Its answers come to subjects of
// its own, so that an answer to an earlier try, however late, meets nobody.
type attempt struct {
	subject  string // what the answers' subjects begin with
	batch    string // the batch's id; "" for single publishes
	count    int    // of the batch
	done     chan struct{}
	mu       sync.Mutex // guards the fields below
	verdicts []verdict
	left     int
}

// take notes answer number i.
func (a *attempt) take(i int, m *nats.Msg) {
	v := judge(m, a.batch, a.count)
	a.mu.Lock()
	defer a.mu.Unlock()
	if v == silence || i < 0 || i >= len(a.verdicts) || a.verdicts[i] != silence {
		return
	}
	a.verdicts[i] = v
	if a.left--; a.left == 0 {
		a.closeDone()
	}
}

// closeDone wakes the committer, once; a.mu is held.
func (a *attempt) closeDone() {
	select {
	case <-a.done:
	default:
		close(a.done)
	}
}

// result is a copy of the verdicts so far.
func (a *attempt) result() []verdict {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]verdict(nil), a.verdicts...)
}

// replies hands the answers of one lane to its current attempt.
type replies struct {
	prefix string // ends with a dot

	mu      sync.Mutex // guards the fields below
	number  uint64
	current *attempt
}

// begin starts an attempt that expects n answers, and ends the one before.
func (r *replies) begin(n int) *attempt {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.number++
	r.current = &attempt{
		subject:  r.prefix + strconv.FormatUint(r.number, 36) + ".",
		done:     make(chan struct{}),
		verdicts: make([]verdict, n),
		left:     n,
	}
	return r.current
}

// receive is the subscription's handler.
func (r *replies) receive(m *nats.Msg) {
	r.mu.Lock()
	a := r.current
	r.mu.Unlock()
	if a == nil {
		return
	}
	if tail, ok := strings.CutPrefix(m.Subject, a.subject); ok {
		if i, err := strconv.Atoi(tail); err == nil {
			a.take(i, m)
		}
	}
}
