package quota

import (
	"errors"
	"strings"
)

// Level is whose requests a policy counts together.
type Level uint8

// The levels. A request that has no key of a level is not counted there.
const (
	LevelHost    Level = iota // the host that it comes from
	LevelSystem               // everybody
	LevelAccount              // the device's account
	LevelDevice               // the device
	LevelClient               // the MQTT client of the device, else the device
	LevelCustom               // what PolicyConfig.Key names

	numLevels = iota
)

var levelNames = [numLevels]string{
	LevelHost: "host", LevelSystem: "system", LevelAccount: "account",
	LevelDevice: "device", LevelClient: "client", LevelCustom: "custom",
}

func (l Level) String() string { return nameOf(levelNames[:], l) }

// ErrLevel says that a text names no Level.
var ErrLevel = errors.New("expected system, account, device, host, client or custom")

// ParseLevel reads a Level's name; ErrLevel for any other text.
func ParseLevel(s string) (Level, error) { return parseName[Level](levelNames[:], s, ErrLevel) }

// Mode is what a policy does about a request that does not fit.
type Mode uint8

// The modes.
const (
	Enforce Mode = iota // it is refused
	Shadow              // it is counted as one that would have been
)

var modeNames = [...]string{Enforce: "enforce", Shadow: "shadow"}

func (m Mode) String() string { return nameOf(modeNames[:], m) }

// ErrMode says that a text names no Mode.
var ErrMode = errors.New("expected enforce or shadow")

// ParseMode reads a Mode's name; ErrMode for any other text.
func ParseMode(s string) (Mode, error) { return parseName[Mode](modeNames[:], s, ErrMode) }

// source is what of a request a custom policy counts by.
type source uint8

const (
	byTopic source = iota
	byTransport
	byClientID
	byHeader
)

var sourceNames = [...]string{byTopic: "topic", byTransport: "transport", byClientID: "clientId"}

const headerPrefix = "header:"

// maxHeader is the longest name of a header field that a key may have.
const maxHeader = 64

// parseSource reads PolicyConfig.Key; header is the field's name for byHeader.
func parseSource(s string) (src source, header string, ok bool) {
	if name, found := strings.CutPrefix(s, headerPrefix); found {
		return byHeader, name, isHeader(name)
	}
	for i, n := range sourceNames {
		if n == s {
			return source(i), "", true
		}
	}
	return 0, "", false
}

// isHeader tells whether s is a field name of ordinary letters (a part of RFC
// 9110 5.6.2's tokens).
func isHeader(s string) bool {
	return s != "" && len(s) <= maxHeader && strings.Trim(s, nameBytes) == ""
}

// nameOf is the name of v, whose names stand in names; "unknown" if it has none.
func nameOf[T ~uint8](names []string, v T) string {
	if int(v) < len(names) {
		return names[v]
	}
	return "unknown"
}

// parseName is the value whose name s is; err if there is none.
func parseName[T ~uint8](names []string, s string, err error) (T, error) {
	for i, n := range names {
		if n == s {
			return T(i), nil
		}
	}
	return 0, err
}
