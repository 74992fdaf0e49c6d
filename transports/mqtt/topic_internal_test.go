package mqtt

import (
	"strings"
	"testing"

	mochi "github.com/mochi-mqtt/server/v2"
)

// FuzzTopic holds for any topic and filter: what may be read is a valid filter
// that covers nothing but this device's own downward topics, and what goes up
// has exactly ThingsBoard's name. Both look at names alone, which an embedder
// cannot see from outside.
func FuzzTopic(f *testing.F) {
	for _, s := range []string{"", "#", "+", telemetryTopic, attributeTopic, requestPrefix + "1", responsePrefix + "+",
		responsePrefix + "1", rpcRequests + "+", rpcResponses + "9999999999", "$SYS/#", "$share/g/" + attributeTopic,
		attributeTopic + "/#", requestPrefix + "+", requestPrefix, requestPrefix + "1/2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		to := destinationOf(s)
		switch to.route {
		case upward:
			if s != topicBase+to.kind.String() {
				t.Errorf("%q goes up as %s", s, to.kind)
			}
		case question:
			if s != requestPrefix+to.id || strings.Trim(to.id, "0123456789") != "" || to.id == "" {
				t.Errorf("%q asks with id %q", s, to.id)
			}
		}
		if !mayRead(s) {
			return
		}
		if !mochi.IsValidFilter(s, false) || mochi.IsSharedFilter(s) || strings.ContainsAny(s, "#$") {
			t.Errorf("%q may be read", s)
		}
		if i := strings.IndexByte(s, '+'); i >= 0 && i != len(s)-1 {
			t.Errorf("%q may be read, which is wide", s)
		}
		if !strings.HasPrefix(s, topicBase) || s == telemetryTopic {
			t.Errorf("%q may be read", s)
		}
	})
}
