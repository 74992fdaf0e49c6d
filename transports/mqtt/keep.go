package mqtt

import (
	"strings"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// readable are the prefixes of what a device may subscribe to, each followed by
// + or a request's number.
func readable() [3]string { return [3]string{responsePrefix, rpcRequests, rpcResponses} }

// subscription is one subscription of an offline session, in 16 bytes. Filters
// are few (mayRead), so that they need no text.
type subscription struct {
	number     uint64 // of the request; up to ten digits
	identifier uint32 // MQTT 5's Subscription Identifier; 0: none
	prefix     uint8  // in readable, from 1; 0: attributeTopic
	digits     uint8  // of number, leading zeros among them; 0: +
}

// remember is the subscription to filter, which mayRead allows.
func remember(filter string, identifier int) subscription {
	s := subscription{identifier: uint32(identifier)}
	for i, prefix := range readable() {
		last, ok := under(filter, prefix)
		if !ok {
			continue
		}
		s.prefix = uint8(i + 1)
		if last == "+" {
			break
		}
		s.digits = uint8(len(last))
		for _, digit := range []byte(last) {
			s.number = s.number*10 + uint64(digit-'0')
		}
	}
	return s
}

// filter is the text of what is subscribed to.
func (s subscription) filter() string {
	switch {
	case s.prefix == 0:
		return attributeTopic
	case s.digits == 0:
		return readable()[s.prefix-1] + "+"
	}
	var digits [10]byte
	n := s.number
	for i := int(s.digits) - 1; i >= 0; i-- {
		digits[i] = '0' + byte(n%10)
		n /= 10
	}
	var b strings.Builder
	b.WriteString(readable()[s.prefix-1])
	b.Write(digits[:s.digits])
	return b.String()
}

// subscriptions are what an offline session keeps of a client's; nil for one
// that mochi never had.
func subscriptions(cl *mochi.Client) []subscription {
	if cl == nil {
		return nil
	}
	all := cl.State.Subscriptions.GetAll()
	kept := make([]subscription, 0, len(all))
	for filter, sub := range all {
		kept = append(kept, remember(filter, sub.Identifier))
	}
	return kept
}

// resume gives mochi's client the subscriptions of the session it resumes.
func (c *conn) resume() {
	for _, kept := range c.session.subs {
		sub := packets.Subscription{Filter: kept.filter(), Identifier: int(kept.identifier)}
		c.srv.mochi.Topics.Subscribe(c.mochi.ID, sub)
		c.mochi.State.Subscriptions.Add(sub.Filter, sub)
	}
	c.session.subs = nil
}
