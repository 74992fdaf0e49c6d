package app

import (
	"context"
	"errors"

	"github.com/weirgate/weir/bus"
	"github.com/weirgate/weir/devices"
	"github.com/weirgate/weir/transports"
)

// storage is the bus as the Gate wants it: a transports.Store and Caller.
type storage struct{ bus *bus.Bus }

func (s storage) Submit(m *transports.Message, c transports.Completer, tag uint64) error {
	r := record(m)
	return s.bus.Submit(&r, c, tag)
}

func (s storage) Bury(m *transports.Message, reason string, c transports.Completer, tag uint64) error {
	r := record(m)
	return s.bus.Bury(&r, reason, c, tag)
}

func (s storage) Call(ctx context.Context, d *devices.Device, name string, question []byte) ([]byte, error) {
	return s.bus.Call(ctx, d.Account, d.Name, name, question)
}

func record(m *transports.Message) bus.Record {
	return bus.Record{
		Account: m.Device.Account, Device: m.Device.Name, Kind: m.Kind.String(),
		Transport: m.Transport.String(), Host: m.Host.String(), ContentType: transports.JSON,
		Received: m.Received, Payload: m.Payload, Unpromised: m.Unpromised,
	}
}

// classify is what an error of the bus means for a device.
func classify(err error) transports.RefusalKind {
	switch {
	case errors.Is(err, bus.ErrAway), errors.Is(err, bus.ErrFull):
		return transports.StoreAway
	case errors.Is(err, bus.ErrClosed):
		return transports.ShuttingDown
	case errors.Is(err, bus.ErrNoService):
		return transports.NoService
	case errors.Is(err, bus.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		return transports.ServiceTimeout
	case errors.Is(err, bus.ErrSubject):
		return transports.NameTooLong
	case errors.Is(err, bus.ErrTooLarge):
		return transports.TooLarge
	}
	return transports.Internal
}
