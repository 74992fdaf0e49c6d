package quota_test

import (
	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/quota"
)

// testing is what rapid's T and testing's have in common.
type tester interface {
	require.TestingT
	Helper()
}

// engineOf is an Engine of policies on c.
func engineOf(t tester, c quota.Clock, policies ...quota.PolicyConfig) *quota.Engine {
	t.Helper()
	e, err := quota.NewEngine(&quota.EngineConfig{Policies: policies, Clock: c})
	require.NoError(t, err)
	return e
}

// request is one of a device of account acme, behind 192.0.2.7, over MQTT.
func request(device string, class quota.Class) *quota.PolicyRequest {
	return &quota.PolicyRequest{
		Subject: &quota.Subject{
			Account: "acme", Device: device, ClientID: "c1", Transport: "mqtt",
			Host: key("192.0.2.7"), Origin: overMQTT,
		},
		Class: class, Topic: "v1/devices/me/telemetry",
	}
}

// messages is a batch of so many.
func messages(device string, n uint32) *quota.PolicyRequest {
	r := request(device, quota.Messages)
	r.Cost = n
	return r
}

// charge charges r and gives what refused it, else where its first policy stands.
func charge(e *quota.Engine, r *quota.PolicyRequest) (quota.Standing, bool) {
	var out quota.Result
	e.Charge(r, &out)
	if st := out.Refusal(); st != nil {
		return *st, true
	}
	if len(out.Limits) == 0 {
		return quota.Standing{}, false
	}
	return out.Limits[0], false
}

// through is how many of n of r are admitted.
func through(e *quota.Engine, r *quota.PolicyRequest, n int) int {
	ok := 0
	for range n {
		if _, refused := charge(e, r); !refused {
			ok++
		}
	}
	return ok
}
