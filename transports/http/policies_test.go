package http_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/quota"
)

// at is a Clock that stands.
type at struct{}

func (at) Now() time.Time { return now }

// under is a world with policies after identity.
func under(t *testing.T, policies ...quota.PolicyConfig) *world {
	t.Helper()
	e, err := quota.NewEngine(&quota.EngineConfig{Policies: policies, Clock: at{}})
	require.NoError(t, err)
	return &world{limits: e, answer: []byte("{}")}
}

func each(n uint32, window time.Duration) []quota.Bucket {
	return []quota.Bucket{{Quota: n, Window: window}}
}

const up = "/api/v1/pump/telemetry"

func TestPoliciesFollowTheHostInTheFields(t *testing.T) {
	w := under(t,
		quota.PolicyConfig{Name: "subscriber", Level: quota.LevelAccount, Buckets: []quota.Bucket{{Quota: 60, Window: time.Minute}, {Quota: 1800, Window: time.Hour}}},
		quota.PolicyConfig{Name: "messages", Level: quota.LevelDevice, Class: quota.Messages, Mode: quota.Shadow, Buckets: each(2, time.Second)},
		quota.PolicyConfig{Name: "reads", Level: quota.LevelDevice, Class: quota.Reads, Buckets: each(1, 500*time.Millisecond)})
	w.policy = &quota.Policy{Name: "host", Quota: 9, Window: time.Minute}
	c := connect(t, serve(t, w, nil))
	got := c.do(post(up, "[{},{},{}]"))
	require.Equal(t, 200, got.StatusCode, "a shadow only watches")
	const host, acme, pump = ";pk=:MTI3LjAuMC4x:", ";pk=:YWNtZQ==:", ";pk=:YWNtZS9wdW1w:"
	require.Contains(t, got.head, "\r\nRateLimit-Policy: "+`"host";q=9;w=60`+host+`, "subscriber-60";q=60;w=60`+acme+
		`, "subscriber-3600";q=1800;w=3600`+acme+`, "messages";q=2;w=1`+pump+"\r\n")
	require.Contains(t, got.head, "\r\nRateLimit: "+`"host";r=8;t=5`+host+`, "subscriber-60";r=59;t=60`+acme+
		`, "subscriber-3600";r=1799;t=3600`+acme+`, "messages";r=2;t=1`+pump+"\r\n")
	got = c.do(get("/api/v1/pump/attributes"))
	require.Contains(t, got.head, `"reads";q=1`+pump+"\r\n", "no w under a second")
	got = c.do(get("/api/v1/pump/attributes"))
	require.Equal(t, 429, got.StatusCode)
	require.Contains(t, got.head, `"subscriber-60";r=58;t=60`+acme, "a refusal charges nothing")
	require.Equal(t, "1", got.Header.Get("Retry-After"))
	require.JSONEq(t, `{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","title":"quota exceeded",
		"status":429,"detail":"quota exceeded: policy reads, used 1 of 1, retry after 1 s",
		"violated-policies":["reads"],"used":1,"quota":1,"wait":1}`, got.body)
	got = c.do(get("/nowhere"))
	require.NotContains(t, got.head, "subscriber", "whose device is not known is not counted")
}

func TestPoliciesRefuseByTheirProfile(t *testing.T) {
	for _, tt := range []struct {
		name    string
		profile quota.Profile
		body    string
		status  int
		wait    string
	}{
		{"standard", quota.Standard, "{}", 429, "60"},
		{"ThingsBoard's", quota.ThingsBoard, "{}", 509, "60"},
		{"Bandwidth's", quota.Bandwidth, "{}", 403, "60"},
		{"a batch over what is left", quota.Standard, "[{},{}]", 429, "60"},
		{"a batch over the quota", quota.Standard, "[{},{},{},{}]", 413, ""},
		{"a batch over the quota, ThingsBoard's", quota.ThingsBoard, "[{},{},{},{}]", 413, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := under(t, quota.PolicyConfig{
				Name: "p", Level: quota.LevelDevice, Class: quota.Messages, Profile: tt.profile, Buckets: each(3, time.Minute),
			})
			c := connect(t, serve(t, w, nil))
			require.Equal(t, 200, c.do(post(up, "[{},{},{}]")).StatusCode)
			got := c.do(post(up, tt.body))
			require.Equal(t, tt.status, got.StatusCode)
			if tt.wait == "" {
				require.Empty(t, got.Header.Get("Retry-After"))
			} else {
				require.Regexp(t, "^6[0-6]$", got.Header.Get("Retry-After"))
			}
			require.Len(t, w.stored, 1)
			require.Equal(t, 200, c.do(post("/api/v1/other/telemetry", "[{},{},{}]")).StatusCode, "another device")
		})
	}
}

func TestBandwidthsDocument(t *testing.T) {
	w := under(t, quota.PolicyConfig{
		Name: "outbound", Level: quota.LevelDevice, Class: quota.Messages, Kind: quota.KindSliding, Profile: quota.Bandwidth,
		Buckets: []quota.Bucket{{Quota: 1, Window: time.Second, Sample: 10 * time.Second}},
	})
	c := connect(t, serve(t, w, nil))
	require.Equal(t, 200, c.do(post(up, "[{},{},{},{},{},{},{},{},{},{}]")).StatusCode)
	said := func(body string) (status int, doc struct{ Category, Code, Message string }) {
		got := c.do(post(up, body))
		require.NoError(t, json.Unmarshal([]byte(got.body), &doc))
		return got.StatusCode, doc
	}
	status, doc := said("{}")
	require.Equal(t, 403, status)
	require.Equal(t, "message-rate-limit", doc.Code)
	require.Equal(t, "You can send 1 messages per 1 seconds, calculated as the average over 10 seconds. Your rate is: 1.1", doc.Message)
	status, doc = said("[{},{},{},{},{},{},{},{},{},{},{}]")
	require.Equal(t, 413, status)
	require.Equal(t, "limit", doc.Category)
	require.Equal(t, "multi-message-limit", doc.Code)
	require.Equal(t, "The number of messages [11] in the multi message request is greater than the limit [10].", doc.Message)
}

func TestAHeaderMayBeTheKey(t *testing.T) {
	w := under(t, quota.PolicyConfig{Name: "tenant", Level: quota.LevelCustom, Key: "header:X-Tenant", Buckets: each(1, time.Minute)})
	c := connect(t, serve(t, w, nil))
	as := func(tenant string) int {
		return c.do("POST " + up + " HTTP/1.1\r\nHost: weir\r\nx-tenant: " + tenant + "\r\nContent-Length: 2\r\n\r\n{}").StatusCode
	}
	require.Equal(t, []int{200, 200, 429, 429}, []int{as("a"), as("b"), as("a"), as("b")})
	require.Equal(t, 200, c.do(post(up, "{}")).StatusCode, "without it the policy does not apply")
}
