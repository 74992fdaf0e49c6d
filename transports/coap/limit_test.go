package coap_test

import (
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/quota"
	"github.com/weirgate/weir/transports/coap"
)

func TestADevicesRequestsAreLimited(t *testing.T) {
	for _, tt := range []struct {
		name    string
		profile quota.Profile
		payload string
		code    codes.Code
		wait    bool
	}{
		{"standard", quota.Standard, "{}", codes.Code(0x9D), true},
		{"ThingsBoard's", quota.ThingsBoard, "{}", codes.BadRequest, true},
		{"a batch over the quota", quota.Standard, "[{},{},{},{}]", codes.RequestEntityTooLarge, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, err := quota.NewEngine(&quota.EngineConfig{Policies: []quota.PolicyConfig{{
				Name: "p", Level: quota.LevelDevice, Class: quota.Messages, Profile: tt.profile,
				Buckets: []quota.Bucket{{Quota: 3, Window: time.Minute}},
			}}})
			require.NoError(t, err)
			w := newWorld(t, func(w *world, _ *coap.Config) { w.limit = e }).serve()
			p := w.peer()
			p.send(post(t, con, 1, "aa", "[{},{},{}]"))
			require.Equal(t, codes.Created, p.answer().Code)
			p.send(post(t, con, 2, "bb", tt.payload))
			got := p.answer()
			require.Equal(t, tt.code, got.Code)
			age, err := got.Options.GetUint32(14)
			require.NoError(t, err)
			require.Equal(t, tt.wait, age >= 59, age)
			require.Len(t, w.store.stored(), 1)
		})
	}
}
