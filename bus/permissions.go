package bus

import (
	"fmt"
	"strings"

	"github.com/nats-io/nats-server/v2/server"
)

// The embedded server has two accounts, for permissions alone would not do:
// NATS checks what a client publishes, but not the reply subject that it asks
// JetStream to answer to, nor the subject that it asks a consumer to deliver to.
// Either would let a subscriber write into weir.up through the server. So the
// streams live in an account of the gateway alone, subscribers in another that
// sees only what is imported there, and where no stream listens.
const (
	gatewayAccount    = "WEIR"
	subscriberAccount = "SUBSCRIBERS"
)

// consumerGate is where subscribers' requests to create consumers arrive: the
// gateway passes on those that deliver to an inbox. See consumers.go.
const consumerGate = "_WEIR.API.CONSUMER."

const consumerAPI = "$JS.API.CONSUMER."

// maxConsumers bounds the consumers of the gateway's account, subscribers' and
// its own together; each costs the server memory and files.
const maxConsumers = 1000

// readable are the streams that a subscriber may read.
var readable = [...]string{streamUp, streamEvents, streamDead}

// liveSubjects are what subscribers hear as it happens. _INBOX.> is where push
// consumers deliver; the gateway's own inboxes lie elsewhere.
var liveSubjects = [...]string{"weir.up.>", "weir.events.>", "weir.dead.>", "_INBOX.>"}

// streamAPI is what a subscriber may ask JetStream of a readable stream %s, as
// it is.
var streamAPI = [...]string{
	"$JS.API.STREAM.INFO.%s", "$JS.API.STREAM.MSG.GET.%s",
	"$JS.API.DIRECT.GET.%s", "$JS.API.DIRECT.GET.%s.>",
	"$JS.API.CONSUMER.INFO.%s.*", "$JS.API.CONSUMER.LIST.%s", "$JS.API.CONSUMER.NAMES.%s",
	"$JS.API.CONSUMER.DELETE.%s.*", "$JS.API.CONSUMER.MSG.NEXT.%s.*",
	"$JS.ACK.%s.>", "$JS.FC.%s.>",
}

// createAPI is what a subscriber may ask JetStream through the gateway, after
// consumerAPI or consumerGate.
var createAPI = [...]string{"CREATE.%s", "CREATE.%s.>", "DURABLE.CREATE.%s.*"}

// accountAPI is what a subscriber may ask of JetStream as a whole.
var accountAPI = [...]string{"$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST"}

// asIs lists the services that subscribers import under their own names.
func asIs() []string {
	all := accountAPI[:]
	for _, stream := range readable {
		for _, api := range streamAPI {
			all = append(all, fmt.Sprintf(api, stream))
		}
	}
	return all
}

// gated lists the services that subscribers reach through consumerGate.
func gated() []string {
	var all []string
	for _, stream := range readable {
		for _, api := range createAPI {
			all = append(all, fmt.Sprintf(api, stream))
		}
	}
	return all
}

// accounts is the two accounts in nats-server's configuration language.
func accounts() string {
	var exports, imports strings.Builder
	for _, s := range liveSubjects {
		fmt.Fprintf(&exports, "{stream: %q, accounts: [%s]}\n", s, subscriberAccount)
		fmt.Fprintf(&imports, "{stream: {account: %s, subject: %q}}\n", gatewayAccount, s)
	}
	service := func(subject, as string) {
		fmt.Fprintf(&exports, "{service: %q, response: stream, accounts: [%s]}\n", subject, subscriberAccount)
		fmt.Fprintf(&imports, "{service: {account: %s, subject: %q}, to: %q}\n", gatewayAccount, subject, as)
	}
	for _, s := range asIs() {
		service(s, s)
	}
	for _, s := range gated() {
		service(consumerGate+s, consumerAPI+s)
	}
	return fmt.Sprintf("accounts {\n%s {jetstream: {max_consumers: %d}\nexports: [%s]}\n%s {imports: [%s]}\n}\n",
		gatewayAccount, maxConsumers, exports.String(), subscriberAccount, imports.String())
}

// subscriberPermissions is what every client but the gateway may do. It repeats
// what the accounts enforce, so that a client is told what it may not. A
// service answers to _INBOX.>, where every client library asks to be answered.
func subscriberPermissions() *server.Permissions {
	publish := append(asIs(), "weir.down.>", "weir.call.>", "_INBOX.>")
	for _, s := range gated() {
		publish = append(publish, consumerAPI+s)
	}
	return &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: publish},
		Subscribe: &server.SubjectPermission{Allow: []string{"weir.>", "_INBOX.>"}},
	}
}
