package mqtt

import (
	"errors"
	"net/url"
	"sync"
	"time"

	"github.com/weirgate/weir/devices"
)

// session is what outlives a connection of one client: which QoS 2 messages
// were received and not released (MQTT 5 4.1). Its subscriptions are mochi's.
type session struct {
	mu sync.Mutex
	// coming are on their way to the store, whose queue bounds them.
	coming map[uint16]receipt
	// stored wait for their PUBREL. MQTT 5 is kept at receiveMaximum a
	// connection; of MQTT 3.1.1 they are all that it has identifiers for.
	stored idSet

	// Guarded by sessions.mu.
	conn    *conn         // nil while offline
	gone    chan struct{} // closed when conn has left
	expires time.Time     // while offline
}

// receipt is a QoS 2 message between its PUBLISH and the store.
type receipt struct {
	owner *conn // who is told when it is stored: the connection that last sent it
	tag   uint64
}

// arrival is what a QoS 2 PUBLISH means to its session.
type arrival uint8

const (
	fresh    arrival = iota
	repeated         // stored already: PUBREC again
	awaited          // on its way to the store: PUBREC will come
)

// has tells whether a QoS 2 PUBLISH came before and was not released.
func (s *session) has(id uint16) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, coming := s.coming[id]
	return coming || s.stored.has(id)
}

// arrive takes note of a QoS 2 PUBLISH on connection c, whose PUBREC is owed
// under the tag that owe makes; owe is not called for one awaited on c itself.
func (s *session) arrive(id uint16, c *conn, owe func() uint64) (arrival, uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stored.has(id) {
		return repeated, owe()
	}
	r, again := s.coming[id]
	if again && r.owner == c {
		return awaited, 0
	}
	if s.coming == nil {
		s.coming = make(map[uint16]receipt)
	}
	tag := owe()
	s.coming[id] = receipt{c, tag}
	if again {
		return awaited, tag
	}
	return fresh, tag
}

// conclude says that the message of a PUBREC is stored (ok) or will not be, and
// who is owed the PUBREC.
func (s *session) conclude(id uint16, ok bool) receipt {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, coming := s.coming[id]
	if !coming {
		return receipt{}
	}
	delete(s.coming, id)
	if ok {
		s.stored = s.stored.with(id)
	}
	return r
}

// release is PUBREL: false if no stored message has that id.
func (s *session) release(id uint16) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stored.drop(id)
}

// idSet is a set of packet identifiers, 64 a word: never more than 1024 words,
// which is some 40 KiB. Its zero value is empty.
type idSet map[uint16]uint64

func (s idSet) has(id uint16) bool { return s[id>>6]&(1<<(id&63)) != 0 }

// with is s and id.
func (s idSet) with(id uint16) idSet {
	if s == nil {
		s = make(idSet)
	}
	s[id>>6] |= 1 << (id & 63)
	return s
}

// drop removes id; false if s does not have it.
func (s idSet) drop(id uint16) bool {
	if !s.has(id) {
		return false
	}
	if s[id>>6] &^= 1 << (id & 63); s[id>>6] == 0 {
		delete(s, id>>6)
	}
	return true
}

// sessionName is the name of a client's session, unique over all devices: two
// devices may use one client identifier. It is valid UTF-8 whatever the names.
func sessionName(d *devices.Device, clientID string) string {
	return url.PathEscape(d.Account) + "/" + url.PathEscape(d.Name) + "/" + url.PathEscape(clientID)
}

// sessions are all sessions, live and offline, by name.
type sessions struct {
	maxLive, maxOffline int
	// forget ends mochi's part of an offline session. It is called with mu held.
	forget func(name string)

	mu      sync.Mutex
	all     map[string]*session
	offline map[string]*session
}

// Errors of enter.
var (
	errCrowded = errors.New("the gateway holds as many clients as it may")
	errStuck   = errors.New("the client's previous connection does not end")
)

// enter makes c its session's connection, after the connection before it, if
// there is one, has ended. clean abandons what an earlier connection left.
func (t *sessions) enter(name string, c *conn, clean bool, now time.Time) error {
	patience := time.NewTimer(takeoverWait)
	defer patience.Stop()
	for {
		before, err := t.tryEnter(name, c, clean, now)
		if err != nil || before == nil {
			return err
		}
		before.conn.end(ending{code: sessionTakenOver, why: "taken over"})
		select {
		case <-before.gone:
		case <-patience.C:
			return errStuck
		}
	}
}

// occupant is a connection that has to leave first.
type occupant struct {
	conn *conn
	gone chan struct{}
}

func (t *sessions) tryEnter(name string, c *conn, clean bool, now time.Time) (*occupant, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.all[name]
	if s != nil && s.conn != nil {
		return &occupant{s.conn, s.gone}, nil
	}
	if len(t.all)-len(t.offline) >= t.maxLive {
		return nil, errCrowded
	}
	if s != nil && (clean || !now.Before(s.expires)) {
		t.drop(name)
		s = nil
	}
	if s == nil {
		s = &session{}
		t.all[name] = s
	}
	delete(t.offline, name)
	s.conn, s.gone = c, make(chan struct{})
	c.session, c.name = s, name
	return nil, nil
}

// leave says that c has ended; its session is kept for a while, unless that is
// 0 or there are maxOffline already.
func (t *sessions) leave(c *conn, keep time.Duration, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := c.session
	s.conn = nil
	close(s.gone)
	if keep <= 0 || len(t.offline) >= t.maxOffline {
		t.drop(c.name)
		return
	}
	s.expires = now.Add(min(keep, maxSessionExpiry))
	t.offline[c.name] = s
}

// drop ends an offline session.
func (t *sessions) drop(name string) {
	delete(t.all, name)
	delete(t.offline, name)
	t.forget(name)
}

// sweep drops the offline sessions that are over.
func (t *sessions) sweep(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for name, s := range t.offline {
		if !now.Before(s.expires) {
			t.drop(name)
		}
	}
}

// live are the connections that have a session now.
func (t *sessions) live() []*conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	cs := make([]*conn, 0, len(t.all)-len(t.offline))
	for _, s := range t.all {
		if s.conn != nil {
			cs = append(cs, s.conn)
		}
	}
	return cs
}

// count is how many sessions are live, and how many offline.
func (t *sessions) count() (live, offline int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.all) - len(t.offline), len(t.offline)
}
