package events

import (
	"crypto/rand"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
)

// The events' names. A name's type is dev.weir.<name>.v1; the version changes
// when a field of its data goes or changes its meaning.
const (
	Offenders    = "offenders"
	Exceeded     = "exceeded"
	Recovered    = "recovered"
	Connected    = "connected"
	Disconnected = "disconnected"
)

// publish wraps data in a CloudEvents 1.0 envelope and sends it.
func (e *Events) publish(name string, at time.Time, data any) {
	ev := event.New(event.CloudEventsVersionV1)
	ev.SetID(rand.Text())
	ev.SetSource(e.source)
	ev.SetType("dev.weir." + name + ".v1")
	ev.SetTime(at.UTC())
	if err := ev.SetData(event.ApplicationJSON, data); err != nil {
		e.lost(name, err)
		return
	}
	b, err := ev.MarshalJSON()
	if err != nil {
		e.lost(name, err)
		return
	}
	e.cfg.Publisher.PublishEvent(name, b)
	e.published.Add(1)
}

// lost is the end of an event that has no JSON, such as one dated after the
// year 9999.
func (e *Events) lost(name string, err error) {
	e.dropped.Add(1)
	e.cfg.Log.Debug("event lost", "event", name, "error", err)
}
