package bus

import (
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// Bounds of what subscribers ask of JetStream and the gateway has not passed on
// yet, for each of some 45 subjects: 12 MiB at most in all. What comes on top is
// lost, and asked again by every client library.
const (
	maxRequest      = 16 << 10 // bytes; a larger one is refused, or lost
	pendingRequests = 4096
	pendingBytes    = 256 << 10
	relayTimeout    = 2 * time.Second // for one answer of JetStream's
)

// relay passes subscribers' requests on to JetStream, which is in another
// account. NATS could do so by itself (a service import), but would let a client
// name any subject for the answer, and others would take that answer for a
// device's message. So the gateway asks in the client's stead, and has only
// inboxes answered.
type relay struct {
	from *nats.Conn // among the subscribers
	to   *nats.Conn // where JetStream is; not the one that the store uses
}

// start subscribes to what clients may ask, each subject with a goroutine of
// its own: who asks much of one does not hold up the others.
func (r *relay) start() error {
	for _, of := range []struct {
		subjects []string
		serve    nats.MsgHandler
	}{
		{slices.Concat(accountAPI[:], ofStreams(streamAPI[:])), r.answer},
		{ofStreams(deliveryAPI[:]), r.pass},
		{ofStreams(createAPI[:]), r.create},
	} {
		for _, s := range of.subjects {
			if err := r.listen(s, of.serve); err != nil {
				return err
			}
		}
	}
	return r.from.Flush() // whoever knows the server's address is heard
}

func (r *relay) listen(subject string, serve nats.MsgHandler) error {
	sub, err := r.from.Subscribe(asked(subject), func(m *nats.Msg) {
		if answerable(m.Reply) {
			serve(m)
		}
	})
	if err != nil {
		return err
	}
	return sub.SetPendingLimits(pendingRequests, pendingBytes)
}

// answerable tells whether an answer may go to a subject: to none, or an inbox.
func answerable(reply string) bool {
	return reply == "" || strings.HasPrefix(reply, nats.InboxPrefix) && !strings.ContainsAny(reply, "*>")
}

// answer asks JetStream what a client asked.
func (r *relay) answer(m *nats.Msg) {
	if len(m.Data) <= maxRequest {
		r.ask(m, m.Data)
	}
}

// ask has a client's question answered. What fails, fails as a lost request
// does: the client asks again.
func (r *relay) ask(m *nats.Msg, body []byte) {
	answer, err := r.to.Request(subjectAt(m.Subject), body, relayTimeout)
	if err == nil {
		r.respond(m, answer.Data)
	}
}

// respond answers from JetStream's side, which the server takes to the client.
func (r *relay) respond(m *nats.Msg, body []byte) {
	if m.Reply != "" {
		_ = r.to.Publish(m.Reply, body)
	}
}

// pass has a stream deliver to the client's inbox, which the streams' account
// exports. The client's headers stay behind: they could have the server write
// elsewhere (Nats-Trace-Dest).
func (r *relay) pass(m *nats.Msg) {
	if len(m.Data) <= maxRequest {
		_ = r.to.PublishMsg(&nats.Msg{Subject: subjectAt(m.Subject), Reply: m.Reply, Data: m.Data})
	}
}

// subjectAt is what the subscribers' subject is where JetStream is.
func subjectAt(subject string) string {
	if api, ok := strings.CutPrefix(subject, askedAPI); ok {
		return jetStreamAPI + api
	}
	return subject
}
