package events

import (
	"strings"
	"time"
)

// Session is a device's connection.
type Session struct {
	Account, Device string
	ClientID        string // the first maxText bytes of it
	Host            string // "-" where a proxy speaks for itself
	Transport       string
	Since           time.Time // when it began
}

// maxText bounds each text of an event that waits; the longest account or
// device name has as many bytes (devices.MaxName).
const maxText = 512

// clipped is s with texts of at most maxText bytes that share no memory with a
// packet's.
func (s Session) clipped() Session {
	s.ClientID = strings.Clone(clip(s.ClientID))
	return s
}

// clip cuts s to maxText bytes, and what is left of a rune off.
func clip(s string) string {
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText], "")
}

// PresenceData is the data of the connected and disconnected events.
type PresenceData struct {
	Node      string    `json:"node"`
	Account   string    `json:"account"`
	Device    string    `json:"device"`
	ClientID  string    `json:"clientId"`
	Host      string    `json:"host"`
	Transport string    `json:"transport"`
	Since     time.Time `json:"since"`
	Reason    string    `json:"reason,omitempty"` // disconnected only
}

// presence is a session's begin or end that waits to be told.
type presence struct {
	session Session
	reason  string
	ended   bool
	at      time.Time
}

func (e *Events) tellPresence(p *presence) {
	s, name := &p.session, Connected
	if p.ended {
		name = Disconnected
	}
	e.publish(name, p.at, &PresenceData{
		Node: e.cfg.Node, Account: s.Account, Device: s.Device, ClientID: s.ClientID,
		Host: s.Host, Transport: s.Transport, Since: s.Since.UTC(), Reason: p.reason,
	})
}
