package transports_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/dunglas/httpsfv"
	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/quota"
	"github.com/weirgate/weir/transports"
)

// TestRateLimitFields holds the fields to the letter of the sample in the PBX
// document and to what a structured field parser reads in them.
func TestRateLimitFields(t *testing.T) {
	pk := ":bnMtZGV2:" // "ns-dev"
	p := &quota.Policy{Name: "client_minute", Quota: 90, Window: time.Minute}
	d := quota.Decision{Policy: p, Used: 1, Reset: 30*time.Second + 1}
	limit := string(transports.AppendRateLimit(nil, d, pk))
	require.Equal(t, `"client_minute";r=89;t=31;pk=:bnMtZGV2:`, limit)
	named := string(transports.AppendRateLimitPolicy(nil, p, pk))
	require.Equal(t, `"client_minute";q=90;w=60;pk=:bnMtZGV2:`, named)

	list, err := httpsfv.UnmarshalList([]string{named})
	require.NoError(t, err)
	item := list[0].(httpsfv.Item)
	require.Equal(t, "client_minute", item.Value)
	q, _ := item.Params.Get("q")
	require.EqualValues(t, 90, q)
	key, _ := item.Params.Get("pk")
	require.Equal(t, []byte("ns-dev"), key)
}

func TestRateLimitPolicyWindows(t *testing.T) {
	tests := []struct {
		name   string
		window time.Duration
		want   string
	}{
		{"under a second", 999 * time.Millisecond, `"p";q=1;pk=::`},
		{"one second", time.Second, `"p";q=1;w=1;pk=::`},
		{"no whole seconds", 1500 * time.Millisecond, `"p";q=1;w=2;pk=::`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := &quota.Policy{Name: "p", Quota: 1, Window: tt.window}
			require.Equal(t, tt.want, string(transports.AppendRateLimitPolicy(nil, p, "::")))
		})
	}
}

func TestPartitionKeys(t *testing.T) {
	host := transports.NewHost(netip.MustParseAddr("192.0.2.1"), 64)
	other := transports.NewHost(netip.MustParseAddr("192.0.2.2"), 64)
	hashed := transports.NewPartitionKeys([]byte("a secret"), false)
	require.Equal(t, hashed.Host(host), hashed.Host(host))
	require.NotEqual(t, hashed.Host(host), hashed.Host(other))
	require.NotEqual(t, hashed.Host(host), transports.NewPartitionKeys([]byte("another"), false).Host(host))
	require.Equal(t, ":MTkyLjAuMi4x:", transports.NewPartitionKeys(nil, true).Host(host))
}

func TestTransportNames(t *testing.T) {
	both := transports.HTTP.Origin() | transports.CoAP.Origin()
	require.Equal(t, []string{"http", "coap"}, transports.TransportNames(both))
	require.Empty(t, transports.TransportNames(0))
}
