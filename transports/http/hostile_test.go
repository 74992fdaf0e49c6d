package http_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/transports/http"
	"github.com/weirgate/weir/transports/listen"
)

// TestNothingIsSmuggled: where a proxy may have seen another end of a request,
// what follows it on the connection is not answered.
func TestNothingIsSmuggled(t *testing.T) {
	proxies, err := listen.ParsePrefixes([]string{"127.0.0.1"})
	require.NoError(t, err)
	behind := &http.Config{TrustedProxies: proxies, Forwarded: listen.ForwardedXFF}
	const both = "Content-Length: 12\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
	for _, tt := range []struct {
		name, request string
		cfg           *http.Config
		status        int
	}{
		{"both lengths", "POST /api/v1/pump/telemetry HTTP/1.1\r\nHost: w\r\n" + both, nil, 200},
		{"both lengths, refused", "POST /api/v1/bad/telemetry HTTP/1.1\r\nHost: w\r\n" + both, nil, 401},
		{"both lengths, no path", "POST / HTTP/1.1\r\nHost: w\r\n" + both, nil, 404},
		{"HTTP/1.0 of a proxy", "POST /api/v1/pump/telemetry HTTP/1.0\r\nConnection: keep-alive\r\n" +
			"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{}", behind, 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := &world{}
			c := connect(t, serve(t, w, tt.cfg))
			got := c.do(tt.request + post("/api/v1/smuggled/telemetry", "{}"))
			require.Equal(t, tt.status, got.StatusCode)
			require.True(t, got.Close)
			_, err := c.r.ReadByte()
			require.Error(t, err)
			require.NotContains(t, strings.Join(w.stored, "\n"), "smuggled")
		})
	}
}

func TestADotSegmentIsNoToken(t *testing.T) {
	w := &world{answer: []byte("{}")}
	c := connect(t, serve(t, w, nil))
	for _, token := range []string{".", "..", "%2e", "%2E%2e", ".%2e"} {
		t.Run(token, func(t *testing.T) {
			require.Equal(t, 404, c.do(post("/api/v1/"+token+"/telemetry", "{}")).StatusCode)
			require.Equal(t, 404, c.do(get("/api/v1/"+token+"/attributes")).StatusCode)
		})
	}
	require.Zero(t, w.identified.Load())
	require.Equal(t, 200, c.do(post("/api/v1/.../telemetry", "{}")).StatusCode, "a name like any other")
}

// asks is what w has been asked so far.
func asks(w *world) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.asked)
}

func TestADeviceAsksFourQuestionsAtOnce(t *testing.T) {
	w := &world{slow: make(chan struct{}), answer: []byte("{}")}
	s := serve(t, w, nil)
	var waiting []*client
	for range 4 {
		c := connect(t, s)
		_, err := c.Write([]byte(get("/api/v1/pump/attributes")))
		require.NoError(t, err)
		waiting = append(waiting, c)
	}
	require.Eventually(t, func() bool { return asks(w) == 4 }, 10*time.Second, time.Millisecond)
	over := connect(t, s)
	got := over.do(get("/api/v1/pump/attributes"))
	require.Equal(t, 503, got.StatusCode)
	require.Equal(t, "1", got.Header.Get("Retry-After"))
	require.Contains(t, got.body, "too many questions wait for an answer")
	require.False(t, got.Close)
	require.Equal(t, 200, over.do(post("/api/v1/pump/telemetry", "{}")).StatusCode, "messages are no questions")
	close(w.slow)
	for _, c := range waiting {
		require.Equal(t, 200, c.read("GET").StatusCode)
	}
	require.Equal(t, 200, over.do(get("/api/v1/pump/attributes")).StatusCode, "their places are free again")
}

func TestQuestionsAreBoundedInAll(t *testing.T) {
	const all, each = 1024, 4
	w := &world{slow: make(chan struct{}), answer: []byte("{}")}
	s := serve(t, w, nil)
	for i := range all {
		_, err := connect(t, s).Write([]byte(get("/api/v1/d" + itoa(i/each) + "/attributes")))
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return asks(w) == all }, 20*time.Second, time.Millisecond)
	require.Equal(t, 503, connect(t, s).do(get("/api/v1/another/attributes")).StatusCode)
	close(w.slow)
	require.Equal(t, 200, connect(t, s).do(post("/api/v1/another/telemetry", "{}")).StatusCode)
}
