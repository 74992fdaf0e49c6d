package devices

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Fault is one thing wrong with a Config. Path is relative to it as the file
// has it ("list[2].token"), so that the caller can say where it stood.
type Fault struct {
	Path    string
	Problem string // what is wrong and what was expected; never a token
}

func (f *Fault) Error() string { return "devices." + f.Path + " " + f.Problem }

const (
	// keySize is the secret key's length. With it a token of up to 23 bytes is
	// one block of SHA-256.
	keySize = 32
	// half is how much of a digest is looked up; the rest is compared. 128 bits
	// are never alike by chance.
	half = sha256.Size / 2
)

// list is the list at one moment. It is never changed once it is published.
type list struct {
	key     [keySize]byte
	tokens  map[[half]byte]claim
	devices map[Device]*Device
	// names are the devices of DefaultAccount.
	names map[string]*Device
}

// claim is the rest of a token's digest, and whose the token is.
type claim struct {
	rest [half]byte
	dev  *Device
}

// newList makes a list of lines; known is the device of an identity, nil for a
// new one. It clones what it keeps.
func newList(lines []Listed, known func(Device) *Device) (*list, error) {
	l := &list{
		tokens:  make(map[[half]byte]claim, len(lines)),
		devices: make(map[Device]*Device, len(lines)),
		names:   make(map[string]*Device),
	}
	// Each list has a key of its own, so that what is learnt of one is worth
	// nothing for the next. Read never fails (crypto/rand.Read).
	_, _ = rand.Read(l.key[:])
	var faults []error
	first := make(map[string]int, len(lines))
	for i := range lines {
		bad := check(&lines[i], i)
		if n, taken := first[lines[i].Token]; taken && len(bad) == 0 {
			bad = append(bad, fault(i, "token", fmt.Sprintf("is also list[%d]'s: expected another, a token is one device's", n)))
		}
		if len(bad) > 0 {
			faults = append(faults, bad...)
			continue
		}
		first[lines[i].Token] = i
		l.add(&lines[i], known)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return l, nil
}

func (l *list) add(line *Listed, known func(Device) *Device) {
	id := Device{Account: line.Account, Name: line.Device}
	if id.Account == "" {
		id.Account = DefaultAccount
	}
	dev := l.devices[id]
	if dev == nil {
		dev = known(id)
	}
	if dev == nil {
		dev = &Device{Account: strings.Clone(id.Account), Name: strings.Clone(id.Name)}
	}
	l.devices[*dev] = dev
	if dev.Account == DefaultAccount {
		l.names[dev.Name] = dev
	}
	at, rest := l.digest(line.Token)
	l.tokens[at] = claim{rest: rest, dev: dev}
}

// byToken is the device of a token; nil if it is nobody's.
func (l *list) byToken(token string) *Device {
	if len(l.tokens) == 0 || len(token) > MaxToken {
		return nil
	}
	at, rest := l.digest(token)
	// Nobody's digest finds the zero claim, which is compared like any other.
	c := l.tokens[at]
	if subtle.ConstantTimeCompare(c.rest[:], rest[:]) != 1 {
		return nil
	}
	return c.dev
}

// byName is the listed device of a name of DefaultAccount; nil if there is none.
func (l *list) byName(name string) *Device { return l.names[name] }

// digest is the token's hash under the secret key, in two halves. A secret
// before the text makes no message code in general, but nobody sees this one.
func (l *list) digest(token string) (at, rest [half]byte) {
	var text [keySize + MaxToken]byte
	n := copy(text[:], l.key[:])
	n += copy(text[n:], token)
	sum := sha256.Sum256(text[:n])
	return [half]byte(sum[:half]), [half]byte(sum[half:])
}

// check is what is wrong with a line by itself.
func check(line *Listed, i int) []error {
	var bad []error
	if line.Account != "" && badName(line.Account) {
		bad = append(bad, fault(i, "account", "is no name: "+expectedName))
	}
	if badName(line.Device) {
		bad = append(bad, fault(i, "device", "is no name: "+expectedName))
	}
	if len(line.Token) == 0 || len(line.Token) > MaxToken {
		bad = append(bad, fault(i, "token", fmt.Sprintf("has %d bytes: expected 1 to %d", len(line.Token), MaxToken)))
	}
	return bad
}

func fault(i int, key, problem string) *Fault {
	return &Fault{Path: fmt.Sprintf("list[%d].%s", i, key), Problem: problem}
}

const expectedName = "expected 1 to 512 bytes of UTF-8 without control characters"

// badName tells whether a text cannot be an account's or a device's name.
func badName(s string) bool {
	return len(s) == 0 || len(s) > MaxName || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl)
}
