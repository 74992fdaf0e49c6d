package app

import (
	"os"

	"github.com/weirgate/weir/events"
	"github.com/weirgate/weir/transports"
	"github.com/weirgate/weir/transports/mqtt"
)

// node is this gateway's name in its events: the machine's.
func node() string {
	name, err := os.Hostname()
	if err != nil {
		return "weir"
	}
	return name
}

// presence tells the events of MQTT sessions.
type presence struct{ events *events.Events }

func (p presence) Connected(s mqtt.Session) { p.events.Connected(session(s)) }

func (p presence) Disconnected(s mqtt.Session, reason string) {
	p.events.Disconnected(session(s), reason)
}

func session(s mqtt.Session) events.Session {
	return events.Session{
		Account: s.Device.Account, Device: s.Device.Name, ClientID: s.ClientID,
		Host: s.Host.String(), Transport: transports.MQTT.String(), Since: s.At,
	}
}
