package mqtt

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/stretchr/testify/require"
)

// worst is a connection that leaves all that a session may hold behind.
func worst(t *testing.T, s *Server, k int) *conn {
	name := fmt.Sprintf("a/%s%d/%s", strings.Repeat("d", 480), k/maxOfDevice, strings.Repeat("%20", maxClientID-8)+fmt.Sprint(k))
	c := &conn{srv: s}
	require.NoError(t, s.sessions.enter(name, c, false, time.Unix(0, 0)))
	c.mochi = s.mochi.NewClient(nil, listenerID, name, false)
	c.mochi.ID = name
	s.mochi.Clients.Add(c.mochi)
	for i := range maxSubscriptions {
		sub := packets.Subscription{Filter: fmt.Sprint(responsePrefix, 1_000_000_000+k*maxSubscriptions+i)}
		if i == 0 { // one tells whether it is forgotten, and all take a minute
			s.mochi.Topics.Subscribe(name, sub)
		}
		c.mochi.State.Subscriptions.Add(sub.Filter, sub)
	}
	c.acks.resize(receiveMaximum)
	c.session.stored = idSet{few: make([]uint16, sparse, 2*sparse), n: sparse}
	return c
}

// The arithmetic beside DefaultMaxSessions, on the heap.
func TestOffline_memory(t *testing.T) {
	s := &Server{mochi: newMochi()}
	s.sessions = sessions{
		maxLive: 10, maxOffline: DefaultMaxSessions, forget: s.forget,
		all: map[string]*session{}, offline: map[string]*session{}, byDevice: map[string][]string{},
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for k := range DefaultMaxSessions {
		s.sessions.leave(worst(t, s, k), time.Hour, time.Unix(0, 0))
	}
	_, offline := s.sessions.count()
	require.Equal(t, DefaultMaxSessions, offline)
	require.Zero(t, s.mochi.Clients.Len())
	runtime.GC()
	runtime.ReadMemStats(&after)
	require.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(120<<20))
	runtime.KeepAlive(s)
}
