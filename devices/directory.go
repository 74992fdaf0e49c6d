package devices

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// Mode is how a Directory takes a token that is not listed.
type Mode uint8

// The modes.
const (
	Token Mode = iota // it is nobody's
	Open              // it is the name of a device of DefaultAccount
)

func (m Mode) String() string {
	switch m {
	case Token:
		return "token"
	case Open:
		return "open"
	}
	return "unknown"
}

// ErrMode says that a text names no Mode.
var ErrMode = errors.New("expected token or open")

// ParseMode reads a Mode's name; ErrMode for any other text.
func ParseMode(s string) (Mode, error) {
	switch s {
	case "token":
		return Token, nil
	case "open":
		return Open, nil
	}
	return 0, ErrMode
}

// DefaultMaxOpen is Config.MaxOpen's default (contract section 1).
const DefaultMaxOpen = 100_000

// MaxToken is the longest token of the list, in bytes: no longer one fits the
// paths and user names that the transports take.
const MaxToken = 512

// Config is what a Directory is made of. The zero Config knows nobody.
type Config struct {
	// Mode is Token or Open.
	Mode Mode
	// List is the devices known by a token. A device may be listed more than
	// once, so that its token can be changed without an outage.
	List []Listed
	// MaxOpen is how many devices the open mode holds besides the listed ones;
	// 0 means DefaultMaxOpen. One takes some 55 bytes and its name, so 100,000
	// of them take 8 MB with names of 20 bytes and 60 MB with the longest.
	MaxOpen int
}

// Listed is one line of the list.
type Listed struct {
	Account string // as Device.Account; "" means DefaultAccount
	Device  string // as Device.Name
	Token   string // what the device shows: 1 to MaxToken bytes, unlike all others
}

// Directory says whose a token is. All methods are safe for concurrent use.
//
// Tokens are not kept: they are looked up by a hash with a secret key, the
// rest of which is then compared in constant time. How long a look-up takes
// tells a stranger neither which tokens there are nor how near a guess is.
type Directory struct {
	mode Mode
	list atomic.Pointer[list]
	open *open // nil unless mode is Open

	mu sync.Mutex // held by Reload, and while a name is added to open
}

// New makes a Directory. Its error joins a *Fault for each bad line of the list
// and for an unknown mode.
func New(cfg *Config) (*Directory, error) {
	d := &Directory{mode: cfg.Mode}
	switch cfg.Mode {
	case Token:
	case Open:
		d.open = newOpen(cfg.MaxOpen)
	default:
		return nil, &Fault{Path: "auth", Problem: fmt.Sprintf("is mode %d: expected token or open", cfg.Mode)}
	}
	if err := d.Reload(cfg.List); err != nil {
		return nil, err
	}
	return d, nil
}

// Reload makes lines the list, in place of the one before, at one stroke. A
// device that stays is the same *Device as before. The error joins a *Fault for
// each bad line; the list is then as before.
func (d *Directory) Reload(lines []Listed) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	next, err := newList(lines, d.known)
	if err != nil {
		return err
	}
	d.list.Store(next)
	return nil
}

// known is the device of an identity; nil if there is none yet. The caller
// holds mu.
func (d *Directory) known(id Device) *Device {
	if old := d.list.Load(); old != nil && old.devices[id] != nil {
		return old.devices[id]
	}
	if d.open != nil && id.Account == DefaultAccount {
		return d.open.find(id.Name)
	}
	return nil
}

// ByToken is the device of a token. A listed token is the listed device's; any
// other is, in open mode, the name of a device of DefaultAccount, listed or not.
// Its errors are ErrUnknown in token mode, and ErrName and ErrFull in open
// mode; in both, a device already known goes on to be found. token may alias a
// buffer: it is not kept. A look-up of a known device takes no lock and
// allocates nothing.
func (d *Directory) ByToken(token string) (*Device, error) {
	l := d.list.Load()
	if dev := l.byToken(token); dev != nil {
		return dev, nil
	}
	if d.open == nil {
		return nil, ErrUnknown
	}
	if len(token) > MaxName {
		return nil, ErrName // before it costs its length
	}
	if dev := l.byName(token); dev != nil {
		return dev, nil
	}
	if dev := d.open.find(token); dev != nil {
		return dev, nil
	}
	return d.admit(token)
}

// admit makes name a device of the open mode.
func (d *Directory) admit(name string) (*Device, error) {
	if badName(name) {
		return nil, ErrName
	}
	if d.open.full() {
		// The name may have come, and been the last, since it was looked for.
		if dev := d.open.find(name); dev != nil {
			return dev, nil
		}
		return nil, ErrFull
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if dev := d.list.Load().byName(name); dev != nil {
		return dev, nil
	}
	return d.open.add(name)
}

// Known tells whether dev is still a device of this Directory, for a session
// that outlives its look-up: false once a Reload has left it out, unless the
// open mode knows it by its name. A nil dev is not known.
func (d *Directory) Known(dev *Device) bool {
	if dev == nil {
		return false
	}
	if d.list.Load().devices[*dev] == dev {
		return true
	}
	return d.open != nil && dev.Account == DefaultAccount && d.open.find(dev.Name) == dev
}

// Stats are a Directory's sizes.
type Stats struct {
	Listed int // devices of the list
	Open   int // devices that the open mode holds
}

// Stats counts. It takes no lock.
func (d *Directory) Stats() Stats {
	s := Stats{Listed: len(d.list.Load().devices)}
	if d.open != nil {
		s.Open = int(d.open.count.Load())
	}
	return s
}
