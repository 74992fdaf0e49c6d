package bus

import (
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// Completer is told once how an accepted message ended: nil means stored. It is
// called from the lane's own goroutine, must not block, and must not call the
// Bus.
type Completer interface {
	Complete(tag uint64, err error)
}

// Record is one message on its way up. Submit keeps the strings, which are
// immutable, and copies the Payload.
type Record struct {
	Account, Device string // of any bytes; escaped in the subject
	// Kind is what follows in the subject: levels separated by slashes, each
	// escaped ("telemetry", "msg/room/temperature").
	Kind        string
	Transport   string    // header Weir-Transport
	Host        string    // header Weir-Host
	ContentType string    // header Content-Type; "" is none
	Received    time.Time // header Weir-Received, in milliseconds UTC
	Payload     []byte
	// MsgID is the message's identity, for the server to drop a second one with
	// the same within two minutes; "" is none. Ids share one space.
	MsgID string
	// Unpromised says that nobody waits for the outcome (MQTT QoS 0): such a
	// message gets no more than half of the queue, so that promised ones have room.
	Unpromised bool
}

// message is a Record in the queue.
type message struct {
	subject   string
	record    Record // its Payload is the message's own
	reason    string // why it was buried
	completer Completer
	tag       uint64
	since     time.Time // when it was submitted
	maybe     bool      // an earlier attempt may have stored it
	err       error     // how it ended
}

// messageOverhead is what a queued message costs beside its bytes: the struct,
// its place in the queue, rounded up. frameOverhead is the most that headers'
// names, the batch's headers and the server's own add to a message on the wire.
const (
	messageOverhead = 384
	frameOverhead   = 512
)

// maxHeader is the most that the headers' values may have in bytes; the server
// takes 64 KiB of header.
const maxHeader = 32 << 10

// headerBytes is what m's header values come to at most, each byte escaped.
func (m *message) headerBytes() int {
	r := &m.record
	return 3 * (len(r.Transport) + len(r.Host) + len(r.Device) + len(r.Account) +
		len(r.ContentType) + len(r.MsgID) + len(m.reason))
}

// wire is what m is on the wire at most.
func (m *message) wire() int { return len(m.record.Payload) + m.headerBytes() + frameOverhead }

// memory is what m counts against Config.LimitBytes.
func (m *message) memory() int {
	return messageOverhead + len(m.subject) + len(m.record.Payload) + m.headerBytes()/3
}

// keepPayload is the largest buffer that a pooled message keeps, in bytes.
const keepPayload = 4 << 10

var messages = sync.Pool{New: func() any { return new(message) }}

// newMessage copies r into a pooled message.
func newMessage(subject string, r *Record) *message {
	m := messages.Get().(*message)
	own := m.record.Payload
	*m = message{subject: subject, record: *r, since: time.Now()}
	m.record.Payload = append(own[:0], r.Payload...)
	return m
}

// recycle gives m back once nobody holds it.
func (m *message) recycle() {
	own := m.record.Payload
	if cap(own) > keepPayload {
		own = nil
	}
	*m = message{record: Record{Payload: own[:0]}}
	messages.Put(m)
}

// Headers (contract section 5, and JetStream's own).
const (
	headTransport = "Weir-Transport"
	headHost      = "Weir-Host"
	headDevice    = "Weir-Device"
	headAccount   = "Weir-Account"
	headReceived  = "Weir-Received"
	headReason    = "Weir-Reason"
	headMaybe     = "Weir-Maybe-Duplicate"
	headType      = "Content-Type"
	headMsgID     = "Nats-Msg-Id"
	headBatch     = "Nats-Batch-Id"
	headSequence  = "Nats-Batch-Sequence"
	headCommit    = "Nats-Batch-Commit"
)

// receivedLayout is RFC 3339 with milliseconds.
const receivedLayout = "2006-01-02T15:04:05.000Z07:00"

// frame is the one nats.Msg that a lane publishes everything with: nats.go
// copies it onto the wire before PublishMsg returns, so that header map and
// values serve again, and a message costs no map.
//
// Writing frames onto a connection of our own instead took 18-22 % less CPU
// in the store alone (server included, batches of 1000), and under 15 % of a
// whole request; it would have cost a second NATS client. So nats.go it is.
type frame struct {
	msg    nats.Msg
	values map[string]*[1]string
}

func newFrame() *frame {
	return &frame{msg: nats.Msg{Header: nats.Header{}}, values: map[string]*[1]string{}}
}

// set puts a header's value, or takes the header off if it is "".
func (f *frame) set(key, value string) {
	if value == "" {
		delete(f.msg.Header, key)
		return
	}
	v := f.values[key]
	if v == nil {
		v = new([1]string)
		f.values[key] = v
	}
	v[0] = value
	f.msg.Header[key] = v[:]
}

// fill makes the frame m's, with no batch and no reply.
func (f *frame) fill(m *message) {
	r := &m.record
	f.msg.Subject, f.msg.Reply, f.msg.Data = m.subject, "", r.Payload
	f.set(headTransport, headerValue(r.Transport))
	f.set(headHost, headerValue(r.Host))
	f.set(headDevice, headerValue(r.Device))
	f.set(headAccount, headerValue(r.Account))
	f.set(headReceived, r.Received.UTC().Format(receivedLayout))
	f.set(headType, headerValue(r.ContentType))
	f.set(headReason, headerValue(m.reason))
	f.set(headMsgID, headerValue(r.MsgID))
	f.set(headMaybe, "")
	if m.maybe {
		f.set(headMaybe, "1")
	}
	f.set(headBatch, "")
	f.set(headSequence, "")
	f.set(headCommit, "")
}

// inBatch makes the frame number seq of batch id.
func (f *frame) inBatch(id, seq string) {
	f.set(headBatch, id)
	f.set(headSequence, seq)
}
