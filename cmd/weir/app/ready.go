package app

import (
	"fmt"
	"strings"

	"github.com/weirgate/weir/config"
)

// Addrs are the real addresses, as URLs. A listener that is off is "".
type Addrs struct {
	HTTP, MQTT, CoAP, Control, NATS string
}

// Addrs are the real addresses, once Start has returned.
func (a *App) Addrs() Addrs {
	all := Addrs{Control: "http://" + a.control.Addr().String(), NATS: a.bus.ClientURL()}
	if a.http != nil {
		all.HTTP = "http://" + a.http.Addr().String()
	}
	if a.mqtt != nil {
		all.MQTT = "mqtt://" + a.mqtt.Addr().String()
	}
	if a.coap != nil {
		all.CoAP = "coap://" + a.coap.Addr().String()
	}
	return all
}

// Ready is the block that `weir serve` prints once Start has returned: every
// address, what was read and what it limits, a line to try and the subjects to
// watch. file is the configuration's, "" for none.
func (a *App) Ready(file string) string {
	var b strings.Builder
	b.WriteString("weir ready\n")
	at := a.Addrs()
	if file == "" {
		file = "none, built-in defaults"
	}
	for _, l := range [...]struct{ name, text string }{
		{"http", at.HTTP}, {"mqtt", at.MQTT}, {"coap", at.CoAP}, {"control", at.Control}, {"nats", at.NATS},
		{"config", file}, {"quota", a.limits()}, {"try", a.try(at.HTTP)},
		{"watch", "weir.up.>  weir.events.>  weir.dead.>"},
	} {
		if l.text != "" {
			fmt.Fprintf(&b, "  %-8s %s\n", l.name, l.text)
		}
	}
	return b.String()
}

// limits is the host quota in words.
func (a *App) limits() string {
	p := a.hosts.Policy()
	if p == nil {
		return "off, no host is limited"
	}
	return fmt.Sprintf("%d requests in %v for each host", p.Quota, p.Window)
}

// try is a line that sends a reading.
func (a *App) try(url string) string {
	if url == "" {
		return ""
	}
	token := "pump"
	if a.loaded.Config.Devices.Auth == config.AuthToken {
		token = "$TOKEN"
	}
	return fmt.Sprintf("curl -d '{\"temperature\":21.5}' %s/api/v1/%s/telemetry", url, token)
}
