package app

import (
	"fmt"
	"strings"
)

// Addrs are the real addresses, as URLs. A listener that is off is "".
type Addrs struct {
	HTTP, MQTT, CoAP, Control, NATS string

	token string // for the line to try
}

// String is the block that `weir serve` prints when it is ready: every address,
// a line to try and the subjects to watch.
func (a Addrs) String() string {
	var b strings.Builder
	b.WriteString("weir ready\n")
	for _, l := range [...]struct{ name, url string }{
		{"http", a.HTTP}, {"mqtt", a.MQTT}, {"coap", a.CoAP}, {"control", a.Control}, {"nats", a.NATS},
	} {
		if l.url != "" {
			fmt.Fprintf(&b, "  %-8s %s\n", l.name, l.url)
		}
	}
	if a.HTTP != "" {
		fmt.Fprintf(&b, "  %-8s curl -d '{\"temperature\":21.5}' %s/api/v1/%s/telemetry\n", "try", a.HTTP, a.token)
	}
	fmt.Fprintf(&b, "  %-8s weir.up.>  weir.events.>  weir.dead.>\n", "watch")
	return b.String()
}
