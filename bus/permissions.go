package bus

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats-server/v2/server"
)

// The embedded server has two accounts, for permissions alone would not do:
// NATS checks what a client publishes, but not the reply subject that it asks
// JetStream to answer to, nor the subject that it asks a consumer to deliver to.
// Either would let a subscriber write into weir.up through the server. So the
// streams live in an account of the gateway alone, subscribers in another that
// sees only what is imported there, where no stream listens, and where the
// gateway hears what JetStream is asked. See relay.
const (
	gatewayAccount    = "WEIR"
	subscriberAccount = "SUBSCRIBERS"
)

// What subscribers ask of jetStreamAPI reaches the gateway under askedAPI, since the server
// answers every account on the former itself, here that there is no JetStream. To
// ask there directly is the same, and as permitted: NATS looks at where a message
// went.
const (
	jetStreamAPI = "$JS.API."
	askedAPI     = "_WEIR.API."
)

// maxConsumers bounds the consumers of each stream; each costs the server
// memory and files. A key-value bucket is a stream of its own, so that what
// subscribers create takes nothing from the gateway.
const maxConsumers = 128

// readable are the streams that a subscriber may read.
var readable = [...]string{streamUp, streamEvents, streamDead}

// liveSubjects are what subscribers hear as it happens. _INBOX.> is where push
// consumers deliver; the gateway's own inboxes lie elsewhere.
var liveSubjects = [...]string{"weir.up.>", "weir.events.>", "weir.dead.>", "_INBOX.>"}

// streamAPI is what a subscriber may ask JetStream of a readable stream %s, for
// one answer each.
var streamAPI = [...]string{
	"$JS.API.STREAM.INFO.%s", "$JS.API.STREAM.MSG.GET.%s",
	"$JS.API.CONSUMER.INFO.%s.*", "$JS.API.CONSUMER.LIST.%s", "$JS.API.CONSUMER.NAMES.%s",
	"$JS.API.CONSUMER.DELETE.%s.*",
}

// deliveryAPI is what a readable stream %s answers itself, with any number of
// messages, or none.
var deliveryAPI = [...]string{
	"$JS.API.DIRECT.GET.%s", "$JS.API.DIRECT.GET.%s.>", "$JS.API.CONSUMER.MSG.NEXT.%s.*",
	"$JS.ACK.%s.>", "$JS.FC.%s.>",
}

// createAPI is what creates consumers.
var createAPI = [...]string{
	"$JS.API.CONSUMER.CREATE.%s", "$JS.API.CONSUMER.CREATE.%s.>", "$JS.API.CONSUMER.DURABLE.CREATE.%s.*",
}

// accountAPI is what a subscriber may ask of JetStream as a whole.
var accountAPI = [...]string{"$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST"}

// ofStreams is the subjects of apis, for every readable stream.
func ofStreams(apis []string) []string {
	var all []string
	for _, stream := range readable {
		for _, api := range apis {
			all = append(all, fmt.Sprintf(api, stream))
		}
	}
	return all
}

// asked is where the gateway hears what is published to subject.
func asked(subject string) string {
	if api, ok := strings.CutPrefix(subject, jetStreamAPI); ok {
		return askedAPI + api
	}
	return subject
}

// accounts is the two accounts in nats-server's configuration language.
func accounts() string {
	var exports, imports strings.Builder
	for _, s := range liveSubjects {
		fmt.Fprintf(&exports, "{stream: %q, accounts: [%s]}\n", s, subscriberAccount)
		fmt.Fprintf(&imports, "{stream: {account: %s, subject: %q}}\n", gatewayAccount, s)
	}
	return fmt.Sprintf("accounts {\n%s {jetstream: {max_consumers: %d}\nexports: [%s]}\n"+
		"%s {limits: {max_connections: %d}\nmappings: {%q: %q}\nimports: [%s]}\n}\n",
		gatewayAccount, maxConsumers, exports.String(),
		subscriberAccount, maxClients+1,
		jetStreamAPI+">", askedAPI+">", imports.String())
}

// subscriberPermissions is what every client but the gateway may do. It repeats
// what the accounts enforce, so that a client is told what it may not. A
// service answers to _INBOX.>, where every client library asks to be answered.
func subscriberPermissions() *server.Permissions {
	publish := []string{"weir.down.>", "weir.call.>", "_INBOX.>"}
	for _, s := range slices.Concat(accountAPI[:], ofStreams(streamAPI[:]), ofStreams(deliveryAPI[:]), ofStreams(createAPI[:])) {
		publish = append(publish, asked(s))
	}
	return &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: publish},
		Subscribe: &server.SubjectPermission{Allow: []string{"weir.>", "_INBOX.>"}},
	}
}
