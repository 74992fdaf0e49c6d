package quota

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"
)

// Headers are a request's header fields, for policies whose key is one.
type Headers interface {
	// Header is the value of the field, "" if there is none. name is as the
	// configuration has it.
	Header(name string) string
}

// Subject is whom a connection's requests are counted for. Its keys are worked
// out when they are first needed and kept: make one a connection, and a new one
// when any of the fields changes. It is not safe for concurrent use, and serves
// one Engine. Fields are left empty where there is no such thing.
type Subject struct {
	Account, Device string
	// ClientID is the MQTT client identifier. It tells the clients of one
	// device apart: those of another never spend its budget.
	ClientID  string
	Transport string
	Host      Key
	Origin    Origin // of the report of spells

	known  uint8 // a bit each Level
	hashes [numLevels]uint64
}

// PolicyRequest is what an Engine charges. It may be reused.
type PolicyRequest struct {
	*Subject
	Class Class
	// Cost is what the request counts for in policies of its Class; 0 is 1. In
	// those of class Total every request counts for 1.
	Cost    uint32
	Topic   string  // for the key topic; "" if there is none
	Headers Headers // nil: there are none
}

// cost is what r counts for in a policy of class c.
func (r *PolicyRequest) cost(c Class) uint32 {
	if c == Total || r.Cost == 0 {
		return 1
	}
	return r.Cost
}

// value is what a custom policy counts r by; "" if r has none.
func (r *PolicyRequest) value(g *group) string {
	switch g.source {
	case byTopic:
		return r.Topic
	case byTransport:
		return r.Transport
	case byClientID:
		return r.ClientID
	}
	if r.Headers == nil {
		return ""
	}
	return r.Headers.Header(g.header)
}

// hasher makes keys' hashes with the process's secret, so that nobody outside
// can make two keys meet.
type hasher struct{ seed maphash.Seed }

// hash is r's key at g's level; false if r has none there.
func (e hasher) hash(r *PolicyRequest, g *group) (uint64, bool) {
	if g.level == LevelCustom {
		v := r.value(g)
		return e.text(LevelCustom, v), v != ""
	}
	s, bit := r.Subject, uint8(1)<<g.level
	if s.known&bit == 0 {
		if !s.has(g.level) {
			return 0, false
		}
		s.hashes[g.level] = e.level(s, g.level)
		s.known |= bit
	}
	return s.hashes[g.level], true
}

// has tells whether s has a key of a level.
func (s *Subject) has(l Level) bool {
	switch l {
	case LevelHost:
		return s.Host != Key{}
	case LevelAccount:
		return s.Account != ""
	case LevelDevice, LevelClient:
		return s.Device != ""
	}
	return l == LevelSystem
}

func (e hasher) level(s *Subject, l Level) uint64 {
	switch l {
	case LevelHost:
		var b [17]byte
		b[0] = byte(l)
		binary.LittleEndian.PutUint64(b[1:], s.Host.hi)
		binary.LittleEndian.PutUint64(b[9:], s.Host.lo)
		return maphash.Bytes(e.seed, b[:])
	case LevelAccount:
		return e.text(l, s.Account)
	case LevelDevice:
		return e.text(l, s.Account, s.Device)
	case LevelClient:
		return e.text(l, s.Account, s.Device, s.ClientID)
	}
	return e.text(l)
}

// text is the hash of some texts in their order.
func (e hasher) text(l Level, texts ...string) uint64 {
	h := maphash.String(e.seed, levelNames[l])
	for _, t := range texts {
		h = mix(h, maphash.String(e.seed, t))
	}
	return h
}

// mix makes one hash of two that are secret, in their order.
func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0x9e3779b97f4a7c15, bits.RotateLeft64(b, 32)^0xd6e8feb86659fd93)
	return hi ^ lo
}

// maxKeyName is how many bytes of a key's name are told.
const maxKeyName = 256

// Name is the key that p counts r by, for people: account, account/device,
// account/device/client, a host, a custom value; "" for the system's. It is
// clipped to 256 bytes and never a token.
func (r *PolicyRequest) Name(p *Standing) string {
	name := ""
	switch s := r.Subject; p.Policy.Level {
	case LevelHost:
		name = s.Host.String()
	case LevelAccount:
		name = s.Account
	case LevelDevice:
		name = s.Account + "/" + s.Device
	case LevelClient:
		name = s.Account + "/" + s.Device
		if s.ClientID != "" {
			name += "/" + s.ClientID
		}
	case LevelCustom:
		name = r.value(p.group)
	}
	return string([]byte(name[:min(len(name), maxKeyName)]))
}
