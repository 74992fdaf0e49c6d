package mqtt

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/weirgate/weir/devices"
)

// session is what outlives a connection of one client: which QoS 2 messages
// were received and not released (MQTT 5 4.1), and, while there is no connection,
// its subscriptions. Mochi holds nothing of an offline session.
type session struct {
	mu sync.Mutex
	// coming are on their way to the store, whose queue bounds them.
	coming map[uint16]receipt
	most   int  // that coming held since it was made
	packed bool // offline
	// stored wait for their PUBREL. MQTT 5 is kept at receiveMaximum a
	// connection; of MQTT 3.1.1 they are all that it has identifiers for. Offline
	// they are sparse at most.
	stored idSet

	// Guarded by sessions.mu while offline, its connection's after.
	subs []subscription // maxSubscriptions at most

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
	s.most = max(s.most, len(s.coming))
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
	if len(s.coming) == 0 {
		s.idle()
	}
	if ok {
		s.stored.add(id)
	}
	return r
}

// spareComing is the most that coming may have held to be used again: a map never
// shrinks.
const spareComing = 8

// idle lets go of what is empty and large, or of an offline session; mu is held.
func (s *session) idle() {
	if s.most > spareComing || s.packed {
		s.coming, s.most = nil, 0
	}
}

// pack makes the session small, for as long as it is offline; false if it holds
// too much for that.
func (s *session) pack(subs []subscription) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subs, s.packed = subs, true
	if len(s.coming) == 0 {
		s.idle()
	}
	return s.stored.n+len(s.coming) <= sparse && s.stored.pack()
}

// unpack is the end of that.
func (s *session) unpack() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.packed = false
}

// release is PUBREL: false if no stored message has that id.
func (s *session) release(id uint16) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stored.drop(id)
}

// sessionName is the name of a client's session, unique over all devices: two
// devices may use one client identifier. It is valid UTF-8 whatever the names.
func sessionName(d *devices.Device, clientID string) string {
	return url.PathEscape(d.Account) + "/" + url.PathEscape(d.Name) + "/" + url.PathEscape(clientID)
}

// sessions are all sessions, live and offline, by name.
type sessions struct {
	maxLive, maxOffline int
	// forget ends mochi's part of a session whose connection has left. It is
	// called with mu held.
	forget func(name string)

	mu      sync.Mutex
	all     map[string]*session
	offline map[string]*session
	// byDevice are the names of each device's offline sessions, the oldest first:
	// up to maxOfDevice. Nobody's is empty.
	byDevice map[string][]string
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
	c.resumed = s != nil
	if s == nil {
		s = &session{}
		t.all[name] = s
	} else {
		s.unpack()
	}
	t.wake(name)
	s.conn, s.gone = c, make(chan struct{})
	c.session, c.name = s, name
	return nil, nil
}

// leave says that c has ended. Its session is kept for a while, in the place of
// the device's oldest if it has maxOfDevice, unless that while is 0, there are
// maxOffline, or it holds too much.
func (t *sessions) leave(c *conn, keep time.Duration, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := c.session
	s.conn = nil
	close(s.gone)
	s.gone = nil
	kept := keep > 0 && s.pack(subscriptions(c.mochi))
	t.forget(c.name)
	device := deviceOf(c.name)
	if mine := t.byDevice[device]; kept && len(mine) >= maxOfDevice {
		t.drop(mine[0])
	}
	if !kept || len(t.offline) >= t.maxOffline {
		delete(t.all, c.name)
		return
	}
	s.expires = now.Add(min(keep, maxSessionExpiry))
	t.offline[c.name] = s
	mine, has := t.byDevice[device]
	if !has {
		device = strings.Clone(device) // not to hold c.name for longer than its session
	}
	t.byDevice[device] = append(mine, c.name)
}

// deviceOf is a session's device, as a key.
func deviceOf(name string) string { return name[:max(0, strings.LastIndexByte(name, '/'))] }

// wake takes a session out of the offline ones, if it is there.
func (t *sessions) wake(name string) {
	if _, ok := t.offline[name]; !ok {
		return
	}
	delete(t.offline, name)
	device := deviceOf(name)
	mine := t.byDevice[device]
	if i := slices.Index(mine, name); i >= 0 {
		mine = slices.Delete(mine, i, i+1)
	}
	if len(mine) == 0 {
		delete(t.byDevice, device)
		return
	}
	t.byDevice[device] = mine
}

// drop ends an offline session.
func (t *sessions) drop(name string) {
	t.wake(name)
	delete(t.all, name)
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
