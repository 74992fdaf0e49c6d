package http_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dunglas/httpsfv"
	proxyproto "github.com/pires/go-proxyproto"
	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/hostlist"
	"github.com/weirgate/weir/quota"
	"github.com/weirgate/weir/transports/http"
	"github.com/weirgate/weir/transports/listen"
)

func itoa(n int) string { return strconv.Itoa(n) }

func TestMessagesUp(t *testing.T) {
	w := &world{}
	s := serve(t, w, nil)
	c := connect(t, s)
	for _, tt := range []struct{ name, request, stored string }{
		{"telemetry", post("/api/v1/pump/telemetry", `{"t":1}`), `telemetry pump 127.0.0.1 {"t":1}`},
		{"a batch", post("/api/v1/pump/telemetry", `[{"t":1},{"t":2}]`), `telemetry pump 127.0.0.1 [{"t":1},{"t":2}]`},
		{"attributes", post("/api/v1/pump/attributes", `{"fw":"1"}`), `attributes pump 127.0.0.1 {"fw":"1"}`},
		{"chunked", "POST /api/v1/pump/telemetry HTTP/1.1\r\nHost: w\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{\"t\"\r\n3\r\n:1}\r\n0\r\n\r\n", `telemetry pump 127.0.0.1 {"t":1}`},
		{"escaped slash", post("/api/v1/a%2Fb/telemetry", `{}`), `telemetry a/b 127.0.0.1 {}`},
		{"escaped otherwise", post("/api/v1/a%20%41+%25/telemetry", `{}`), `telemetry a A+% 127.0.0.1 {}`},
		{"escaped percent only", post("/api/v1/100%25/telemetry", `{}`), `telemetry 100% 127.0.0.1 {}`},
		{"query ignored", post("/api/v1/pump/telemetry?x=1", `{}`), `telemetry pump 127.0.0.1 {}`},
		{"HTTP/1.0", "POST /api/v1/pump/telemetry HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}", `telemetry pump 127.0.0.1 {}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.stored = nil
			got := c.do(tt.request)
			require.Equal(t, 200, got.StatusCode)
			require.Empty(t, got.body)
			require.Equal(t, []string{tt.stored}, w.stored)
			require.NotContains(t, got.head, "RateLimit", "no policy applies")
			require.Equal(t, tt.name == "chunked", got.Close)
		})
		if tt.name == "chunked" {
			c = connect(t, s)
		}
	}
	got := c.do("POST /api/v1/pump/telemetry HTTP/1.1\r\nHost: w\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
	require.Equal(t, 100, got.StatusCode)
	require.Equal(t, 200, c.do("{}").StatusCode)
}

func TestAttributesAsked(t *testing.T) {
	w := &world{answer: []byte(`{"client":{"a":1}}`)}
	c := connect(t, serve(t, w, nil))
	for _, tt := range []struct{ name, query, question string }{
		{"both", "?clientKeys=a,b&sharedKeys=c", `{"clientKeys":"a,b","sharedKeys":"c"}`},
		{"one", "?sharedKeys=c", `{"sharedKeys":"c"}`},
		{"none", "", `{}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.asked = nil
			got := c.do(get("/api/v1/pump/attributes" + tt.query))
			require.Equal(t, 200, got.StatusCode)
			require.Equal(t, "application/json", got.Header.Get("Content-Type"))
			require.JSONEq(t, `{"client":{"a":1}}`, got.body)
			require.Equal(t, []string{"pump attributes " + tt.question}, w.asked)
		})
	}
	got := c.do("HEAD /api/v1/pump/attributes HTTP/1.1\r\nHost: w\r\n\r\n")
	require.Equal(t, 200, got.StatusCode)
	require.EqualValues(t, 18, got.ContentLength)
}

func TestMethods(t *testing.T) {
	c := connect(t, serve(t, &world{}, nil))
	for _, tt := range []struct {
		method, path, allow string
		status              int
	}{
		{"OPTIONS", "/api/v1/pump/telemetry", "POST, OPTIONS", 204},
		{"OPTIONS", "/api/v1/pump/attributes", "POST, GET, HEAD, OPTIONS", 204},
		{"OPTIONS", "*", "POST, GET, HEAD, OPTIONS", 204},
		{"OPTIONS", "/elsewhere", "", 404},
		{"GET", "/api/v1/pump/telemetry", "POST, OPTIONS", 405},
		{"HEAD", "/api/v1/pump/telemetry", "POST, OPTIONS", 405},
		{"DELETE", "/api/v1/pump/attributes", "POST, GET, HEAD, OPTIONS", 405},
		{"BREW", "/api/v1/pump/attributes", "POST, GET, HEAD, OPTIONS", 405},
		{"CONNECT", "weir:80", "", 404},
	} {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			got := c.do(tt.method + " " + tt.path + " HTTP/1.1\r\nHost: w\r\n\r\n")
			require.Equal(t, tt.status, got.StatusCode)
			require.Equal(t, tt.allow, got.Header.Get("Allow"))
		})
	}
}

func TestRefusals(t *testing.T) {
	const up = "/api/v1/pump/telemetry"
	for _, tt := range []struct {
		name, request string
		world         *world
		status        int
		title, detail string
		header        map[string]string
		closes        bool
	}{
		{name: "unknown path", request: get("/"), status: 404, title: "Not Found", detail: "unknown path"},
		{name: "trailing slash", request: post(up+"/", "{}"), status: 404, title: "Not Found", detail: "unknown path"},
		{name: "bad method", request: get(up), status: 405, title: "Method Not Allowed", detail: "method not allowed"},
		{name: "bad token", request: post("/api/v1/bad/telemetry", "{}"), status: 401, title: "Unauthorized", detail: "bad credentials",
			header: map[string]string{"WWW-Authenticate": `Bearer realm="weir"`}},
		{name: "no token", request: post("/api/v1//telemetry", "{}"), status: 401, title: "Unauthorized", detail: "bad credentials"},
		{name: "bad token for a question", request: get("/api/v1/bad/attributes"), status: 401, title: "Unauthorized", detail: "bad credentials"},
		{name: "directory full", request: post("/api/v1/full/telemetry", "{}"), status: 503, title: "Service Unavailable", detail: "no more devices are accepted"},
		{name: "name too long", request: post("/api/v1/"+strings.Repeat("x", 513)+"/telemetry", "{}"), status: 400, title: "Bad Request", detail: "a token has 1 to 512 bytes of UTF-8 without control characters"},
		{name: "no body", request: post(up, ""), status: 400, title: "Bad Request", detail: "the payload is empty; expected a JSON object"},
		{name: "not JSON", request: post(up, "hello"), status: 400, title: "Bad Request", detail: "the payload is not JSON"},
		{name: "too large", request: post(up, strings.Repeat("x", 101)), status: 413, title: "Request Entity Too Large", detail: "the body is over 100 bytes"},
		{name: "much too large", request: "POST " + up + " HTTP/1.1\r\nHost: w\r\nContent-Length: 5000000\r\n\r\n", status: 413, title: "Request Entity Too Large", detail: "the body is over 100 bytes", closes: true},
		{name: "too large, chunked", request: "POST " + up + " HTTP/1.1\r\nHost: w\r\nTransfer-Encoding: chunked\r\n\r\n80\r\n" + strings.Repeat("x", 128), status: 413, title: "Request Entity Too Large", detail: "the body is over 100 bytes", closes: true},
		{name: "bad chunk", request: "POST " + up + " HTTP/1.1\r\nHost: w\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", status: 400, title: "Bad Request", detail: "the body did not arrive whole", closes: true},
		{name: "store away at once", request: post(up, "{}"), world: &world{storeErr: errAway}, status: 503, title: "Service Unavailable", detail: "store unavailable", header: map[string]string{"Retry-After": "1?"}},
		{name: "store away later", request: post(up, "{}"), world: &world{doneErr: errAway}, status: 503, title: "Service Unavailable", detail: "store unavailable", header: map[string]string{"Retry-After": "1?"}},
		{name: "store broken", request: post(up, "{}"), world: &world{doneErr: net.ErrClosed}, status: 500, title: "Internal Server Error", detail: "internal error"},
		{name: "no service", request: get("/api/v1/pump/attributes"), world: &world{callErr: errNobody}, status: 503, title: "Service Unavailable", detail: "no service answers"},
		{name: "service timeout", request: get("/api/v1/pump/attributes"), world: &world{callErr: errTimeout}, status: 504, title: "Gateway Timeout", detail: "service did not answer in time"},
		{name: "panic", request: post(up, "{}"), world: &world{panics: true}, status: 500, title: "Internal Server Error", detail: "internal error"},
		{name: "denied", request: post(up, "{}"), world: &world{verdicts: deny("127.0.0.1"), denied: quota.ThingsBoard}, status: 509, title: "Bandwidth Limit Exceeded", detail: "host denied"},
		{name: "denied, standard", request: post(up, "{}"), world: &world{verdicts: deny("127.0.0.1")}, status: 403, title: "Forbidden", detail: "host denied"},
		{name: "no HTTP", request: "hello\r\n\r\n", status: 400, title: "Bad Request", detail: "400 Bad Request", closes: true},
		{name: "no Host", request: "GET / HTTP/1.1\r\n\r\n", status: 400, title: "Bad Request", detail: "400 Bad Request: missing required Host header", closes: true},
		{name: "head too large", request: "GET / HTTP/1.1\r\nHost: w\r\nX: " + strings.Repeat("x", 30000) + "\r\n\r\n", status: 431, title: "Request Header Fields Too Large", detail: "431 Request Header Fields Too Large", closes: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.world == nil {
				tt.world = &world{}
			}
			c := connect(t, serve(t, tt.world, &http.Config{MaxBody: 100}))
			got := c.do(tt.request)
			require.Equal(t, tt.status, got.StatusCode)
			require.Equal(t, "application/problem+json", got.Header.Get("Content-Type"))
			require.Contains(t, got.head, "HTTP/1.1 "+itoa(tt.status)+" "+tt.title)
			want, err := json.Marshal(map[string]any{"type": "about:blank", "title": tt.title, "status": tt.status, "detail": tt.detail})
			require.NoError(t, err)
			require.JSONEq(t, string(want), got.body)
			for k, v := range tt.header {
				require.Regexp(t, "(?m)^"+k+": "+v, got.head)
			}
			require.Equal(t, tt.closes, got.Close)
		})
	}
}

func deny(addr string) map[netip.Addr]hostlist.Verdict {
	return map[netip.Addr]hostlist.Verdict{netip.MustParseAddr(addr): hostlist.Denied}
}

func limited(p quota.Profile, n uint32) *world {
	return &world{policy: &quota.Policy{Name: "host", Quota: n, Window: time.Minute, Profile: p}}
}

func TestQuota(t *testing.T) {
	for _, tt := range []struct {
		profile quota.Profile
		line    string
	}{
		{quota.ThingsBoard, "HTTP/1.1 509 Bandwidth Limit Exceeded\r\n"},
		{quota.Standard, "HTTP/1.1 429 Too Many Requests\r\n"},
	} {
		t.Run(tt.profile.String(), func(t *testing.T) {
			w := limited(tt.profile, 3)
			c := connect(t, serve(t, w, nil))
			require.Equal(t, 200, c.do(post("/api/v1/pump/telemetry", "{}")).StatusCode)
			require.Equal(t, 404, c.do(get("/nowhere")).StatusCode, "counts")
			require.Equal(t, 401, c.do(post("/api/v1/bad/telemetry", "{}")).StatusCode, "counts")
			got := c.do(post("/api/v1/pump/telemetry", "{}"))
			require.True(t, strings.HasPrefix(got.head, tt.line), got.head)
			require.Equal(t, "5", got.Header.Get("Retry-After"))
			require.Equal(t, "application/problem+json", got.Header.Get("Content-Type"))
			require.JSONEq(t, `{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded",
				"title":"quota exceeded","status":`+got.Status[:3]+`,
				"detail":"quota exceeded: policy host, used 3 of 3, retry after 5 s",
				"violated-policies":["host"],"used":3,"quota":3,"wait":5}`, got.body)
			require.False(t, got.Close, "the connection lives on")
			require.Len(t, w.stored, 1)
			w.used = map[quota.Key]uint32{}
			require.Equal(t, 200, c.do(post("/api/v1/pump/telemetry", "{}")).StatusCode)
		})
	}
	for profile, status := range map[quota.Profile]int{quota.ThingsBoard: 509, quota.Standard: 429} {
		t.Run("none at all, "+profile.String(), func(t *testing.T) {
			got := connect(t, serve(t, limited(profile, 0), nil)).do(get("/"))
			require.Equal(t, status, got.StatusCode)
			require.Empty(t, got.Header.Get("Retry-After"))
			require.JSONEq(t, `{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded",
				"title":"quota exceeded","status":`+itoa(status)+`,
				"detail":"quota exceeded: policy host, used 0 of 0","violated-policies":["host"],"used":0,"quota":0}`, got.body)
		})
	}
	for _, length := range []int{100, 60000} {
		t.Run("a refused body of "+itoa(length)+" is not waited for", func(t *testing.T) {
			c := connect(t, serve(t, limited(quota.Standard, 1), nil))
			c.do(get("/"))
			got := c.do("POST /api/v1/pump/telemetry HTTP/1.1\r\nHost: w\r\nContent-Length: " + itoa(length) + "\r\n\r\n{")
			require.Equal(t, 429, got.StatusCode)
			require.True(t, got.Close)
			_, err := c.r.ReadByte()
			require.ErrorIs(t, err, io.EOF, "closed long before ReadTimeout")
		})
	}
	t.Run("a refused body that came costs no connection", func(t *testing.T) {
		c := connect(t, serve(t, limited(quota.Standard, 1), nil))
		c.do(get("/"))
		for range 3 {
			got := c.do(post("/api/v1/pump/telemetry", "{}"))
			require.Equal(t, 429, got.StatusCode)
			require.False(t, got.Close)
		}
	})
}

func TestBandwidthProfile(t *testing.T) {
	reset := strconv.FormatInt(now.Add(4500*time.Millisecond).UnixMilli(), 10)
	t.Run("total", func(t *testing.T) {
		c := connect(t, serve(t, limited(quota.Bandwidth, 1), nil))
		c.do(get("/"))
		got := c.do(post("/api/v1/sec%22ret/telemetry", "{}"))
		require.Equal(t, 429, got.StatusCode)
		require.Contains(t, got.head, "\r\nX-RateLimit-Reset: "+reset+"\r\n")
		require.Equal(t, "application/json", got.Header.Get("Content-Type"))
		require.Equal(t, "5", got.Header.Get("Retry-After"))
		require.JSONEq(t, `{"category":"too-many-requests","code":"rate-limit-reached","details":[
			{"name":"rateLimitResetTime","value":"`+reset+`"},{"name":"requestMethod","value":"POST"},
			{"name":"remoteAddress","value":"127.0.0.1"},{"name":"requestPath","value":"api/v1/{token}/telemetry"}]}`, got.body)
		got = c.do(get(`/else"where/` + strings.Repeat("x", 1000)))
		require.True(t, json.Valid([]byte(got.body)))
		require.Less(t, len(got.body), 600)
	})
	for class, code := range map[quota.Class]string{quota.Messages: "message-rate-limit", quota.Connects: "call-rate-limit"} {
		do := map[quota.Class]string{
			quota.Messages: "You can send 1 messages", quota.Connects: "You can create 1 calls",
		}[class]
		t.Run(code, func(t *testing.T) {
			w := limited(quota.Bandwidth, 1)
			w.policy.Class = class
			c := connect(t, serve(t, w, nil))
			c.do(get("/"))
			got := c.do(get("/api/v1/x"))
			require.Equal(t, 403, got.StatusCode)
			require.NotContains(t, got.head, "X-RateLimit-Reset")
			require.JSONEq(t, `{"category":"limit","code":"`+code+`","message":"`+do+` per 60 seconds, calculated as the average over 60 seconds. Your rate is: 2",
				"details":[{"name":"requestMethod","value":"GET"},{"name":"remoteAddress","value":"127.0.0.1"},{"name":"requestPath","value":"api/v1/{token}"}]}`, got.body)
		})
	}
}

func TestRateLimitFields(t *testing.T) {
	w := limited(quota.ThingsBoard, 5)
	w.answer = []byte("{}")
	c := connect(t, serve(t, w, nil))
	for i, request := range []string{
		post("/api/v1/pump/telemetry", "{}"), get("/nowhere"), get("/api/v1/pump/attributes"),
		post("/api/v1/bad/telemetry", "{}"), post("/api/v1/pump/telemetry", "?"), post("/api/v1/pump/telemetry", "{}"),
	} {
		got := c.do(request)
		left := max(0, 4-i)
		const pk = ";pk=:MTI3LjAuMC4x:"
		require.Contains(t, got.head, "\r\nRateLimit: \"host\";r="+itoa(left)+";t=5"+pk+"\r\n")
		require.Contains(t, got.head, "\r\nRateLimit-Policy: \"host\";q=5;w=60"+pk+"\r\n")
		list, err := httpsfv.UnmarshalList([]string{got.Header.Get("RateLimit")})
		require.NoError(t, err)
		item := list[0].(httpsfv.Item)
		require.Equal(t, "host", item.Value)
		r, _ := item.Params.Get("r")
		require.EqualValues(t, left, r)
		key, _ := item.Params.Get("pk")
		require.Equal(t, []byte("127.0.0.1"), key)
	}
	w.policy = &quota.Policy{Name: "host", Quota: 9, Window: 2 * time.Minute}
	require.Contains(t, c.do(get("/")).head, "\r\nRateLimit-Policy: \"host\";q=9;w=120;pk=", "a reload shows on a live connection")
}

func TestForwardedHosts(t *testing.T) {
	proxies, err := listen.ParsePrefixes([]string{"127.0.0.1"})
	require.NoError(t, err)
	w := limited(quota.ThingsBoard, 1)
	c := connect(t, serve(t, w, &http.Config{TrustedProxies: proxies, Forwarded: listen.ForwardedXFF}))
	from := func(xff string) answer {
		return c.do("POST /api/v1/pump/telemetry HTTP/1.1\r\nHost: w\r\nX-Forwarded-For: " + xff + "\r\nContent-Length: 2\r\n\r\n{}")
	}
	got := from("192.0.2.1")
	require.Equal(t, 200, got.StatusCode)
	require.Contains(t, got.head, "pk=:MTkyLjAuMi4x:")
	got = from("198.51.100.1, 192.0.2.2")
	require.Equal(t, 200, got.StatusCode)
	require.Contains(t, got.head, "pk=:MTkyLjAuMi4y:")
	require.Equal(t, 509, from("192.0.2.1").StatusCode)
	for range 3 {
		got = from("unknown")
		require.Equal(t, 200, got.StatusCode, "the proxy itself is nobody's")
		require.NotContains(t, got.head, "RateLimit")
	}
	require.Equal(t, "telemetry pump 192.0.2.1 {}", w.stored[0])
	require.Equal(t, "telemetry pump - {}", w.stored[2])
}

func TestForwardedFromAStranger(t *testing.T) {
	w := limited(quota.ThingsBoard, 1)
	c := connect(t, serve(t, w, &http.Config{Forwarded: listen.ForwardedXFF}))
	request := "GET / HTTP/1.1\r\nHost: w\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n"
	require.Equal(t, 404, c.do(request).StatusCode)
	require.Equal(t, 509, c.do(strings.Replace(request, "192.0.2.1", "192.0.2.2", 1)).StatusCode)
}

func TestProxyProtocol(t *testing.T) {
	proxies, err := listen.ParsePrefixes([]string{"127.0.0.1"})
	require.NoError(t, err)
	w := &world{verdicts: deny("203.0.113.9")}
	ln, err := listen.TCP(t.Context(), &listen.Config{Address: "127.0.0.1:0", ProxyProtocol: listen.ProxyOn, TrustedProxies: proxies})
	require.NoError(t, err)
	s := serve(t, w, &http.Config{Listener: ln, Peer: listen.Peer, TrustedProxies: proxies})
	for _, tt := range []struct {
		src    string
		status int
	}{{"203.0.113.9:1", 403}, {"203.0.113.10:1", 404}} {
		c := connect(t, s)
		h := proxyproto.HeaderProxyFromAddrs(2, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(tt.src)),
			net.TCPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.1:80")))
		_, err := h.WriteTo(c)
		require.NoError(t, err)
		require.Equal(t, tt.status, c.do(get("/")).StatusCode)
	}
	c := connect(t, s)
	_, err = c.Write([]byte(get("/")))
	require.NoError(t, err)
	_, err = c.r.ReadByte()
	require.Error(t, err, "a trusted proxy must send a header")
}

func TestAnswerWaitsForTheStore(t *testing.T) {
	w := &world{hold: true}
	s := serve(t, w, nil)
	c, gone := connect(t, s), connect(t, s)
	_, err := c.Write([]byte(post("/api/v1/pump/telemetry", "{}")))
	require.NoError(t, err)
	_, err = gone.Write([]byte(post("/api/v1/pump/telemetry", "{}")))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return w.keptBack() == 2 }, 10*time.Second, time.Millisecond)
	require.NoError(t, gone.Close())
	require.NoError(t, c.Conn.(*net.TCPConn).CloseWrite())
	w.complete()
	require.Equal(t, 200, c.read("POST").StatusCode, "a client that ended its sending side still gets its answer")
	require.Eventually(t, func() bool { return s.Stats().Connections == 0 }, 10*time.Second, time.Millisecond)
}

func TestStatsAndLog(t *testing.T) {
	var out bytes.Buffer
	w := &world{panics: true}
	s := serve(t, w, &http.Config{Log: slog.New(slog.NewTextHandler(&out, nil))})
	c := connect(t, s)
	for range 3 {
		require.Equal(t, 500, c.do(post("/api/v1/secret/telemetry", "{}")).StatusCode)
	}
	c.do("rubbish\r\n\r\n")
	require.Equal(t, http.Stats{Connections: 1, Panics: 3, Malformed: 1}, func() http.Stats {
		st := s.Stats()
		st.Connections = 1 // it may be closed by now
		return st
	}())
	require.Equal(t, 1, strings.Count(out.String(), "\n"), "one line a minute: %s", out.String())
	require.NotContains(t, out.String(), "secret")
	require.NoError(t, c.Close())
	require.Eventually(t, func() bool { return s.Stats().Connections == 0 }, 10*time.Second, time.Millisecond)
}
