package e2e_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// listed is a gateway with the devices pump and fan, and a quota that nobody
// here exceeds but everybody spends.
const listed = `
quota: {host: {enabled: true, limit: 1000000, whitelist: ""}}
`

// refusedHTTP is a request over HTTP that is refused.
type refusedHTTP struct {
	name, method, path, body string
	chunked                  bool
	code                     int
	header                   string // a line of the answer's header, "Name: value"
	detail                   string // in the problem's detail
}

func refusedRequests() []refusedHTTP {
	const telemetry, attributes = "/api/v1/pump-token/telemetry", "/api/v1/pump-token/attributes"
	long := `{"a":"` + strings.Repeat("x", 64<<10) + `"}`
	return []refusedHTTP{
		{name: "the root", method: "GET", path: "/", code: 404},
		{name: "no such endpoint", method: "POST", path: "/api/v1/pump-token/rumours", body: "{}", code: 404},
		{name: "one level too deep", method: "POST", path: telemetry + "/more", body: "{}", code: 404},
		{name: "a path that climbs", method: "GET", path: "/api/v1/../../etc/passwd", code: 404},
		{name: "PUT", method: "PUT", path: telemetry, body: "{}", code: 405, header: "Allow: POST, OPTIONS"},
		{name: "GET telemetry", method: "GET", path: telemetry, code: 405, header: "Allow: POST, OPTIONS"},
		{name: "a method of one's own", method: "BREW", path: telemetry, code: 405},
		{name: "DELETE attributes", method: "DELETE", path: attributes, code: 405},
		{name: "no body", method: "POST", path: telemetry, code: 400, detail: "empty"},
		{name: "no JSON", method: "POST", path: telemetry, body: "21.5 degrees", code: 400, detail: "not JSON"},
		{name: "half an object", method: "POST", path: telemetry, body: `{"t":`, code: 400, detail: "not JSON"},
		{name: "two objects", method: "POST", path: telemetry, body: `{}{}`, code: 400, detail: "not JSON"},
		{name: "a number", method: "POST", path: telemetry, body: "21.5", code: 400, detail: "expected a JSON object"},
		{name: "null", method: "POST", path: telemetry, body: "null", code: 400, detail: "expected a JSON object"},
		{name: "an array of numbers", method: "POST", path: telemetry, body: "[1,2]", code: 400, detail: "array of JSON objects"},
		{name: "an array as attributes", method: "POST", path: attributes, body: "[{}]", code: 400, detail: "expected a JSON object"},
		{name: "not UTF-8", method: "POST", path: telemetry, body: "{\"t\":\"\xff\"}", code: 400, detail: "UTF-8"},
		{name: "an unknown token", method: "POST", path: "/api/v1/stranger/telemetry", body: "{}", code: 401, header: `Www-Authenticate: Bearer realm="weir"`},
		{name: "an empty token", method: "POST", path: "/api/v1//telemetry", body: "{}", code: 401},
		{name: "a token and a half", method: "POST", path: "/api/v1/pump-token%20/telemetry", body: "{}", code: 401},
		{name: "an unknown token, reading", method: "GET", path: "/api/v1/stranger/attributes", code: 401},
		{name: "too large", method: "POST", path: telemetry, body: long, code: 413, detail: "65536"},
		{name: "too large, in chunks", method: "POST", path: telemetry, body: long, chunked: true, code: 413, detail: "65536"},
		{name: "nobody answers", method: "GET", path: attributes + "?clientKeys=a", code: 503},
	}
}

func (r *refusedHTTP) do(t *testing.T, g *gateway) *http.Response {
	t.Helper()
	var body io.Reader = strings.NewReader(r.body)
	if r.chunked {
		body = io.MultiReader(body)
	}
	req, err := http.NewRequest(r.method, g.HTTP+r.path, body)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	return resp
}

// TestBadHTTP: every bad request has its code and a problem that says why; the
// next good one is stored, and nothing else is.
func TestBadHTTP(t *testing.T) {
	g := start(t, listed+devicesOf("pump", "fan"))
	require.Equal(t, 200, post(t, g, "pump-token").StatusCode)
	lines, series, good := g.logLines(), g.series(t), 1
	for _, tt := range refusedRequests() {
		t.Run(tt.name, func(t *testing.T) {
			resp := tt.do(t, g)
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			resp.Body.Close()
			require.Equal(t, tt.code, resp.StatusCode, "%s", body)
			require.Equal(t, "application/problem+json", resp.Header.Get("Content-Type"))
			var p struct {
				Type, Title, Detail string
				Status              int
			}
			require.NoError(t, json.Unmarshal(body, &p), "%s", body)
			require.Equal(t, tt.code, p.Status)
			require.NotEmpty(t, p.Title)
			require.Contains(t, p.Detail, tt.detail)
			require.NotContains(t, string(body), "pump", "no token comes back")
			if name, value, ok := strings.Cut(tt.header, ": "); ok {
				require.Equal(t, value, resp.Header.Get(name))
			}
			require.NotEmpty(t, resp.Header.Get("RateLimit"), "it was counted, and says so")

			require.Equal(t, 200, post(t, g, "pump-token").StatusCode)
			good++
		})
	}
	for _, tt := range refusedRequests() {
		for range 20 {
			tt.do(t, g).Body.Close()
		}
	}
	g.stillQuiet(t, lines, series)
	all := kept(t, g.connect(t), "WEIR_UP")
	require.Len(t, all, good, "what was good, and nothing else")
	for _, m := range all {
		require.Equal(t, "weir.up.acme.pump.telemetry", m.Subject())
	}
	require.Empty(t, kept(t, g.connect(t), "WEIR_DEAD"))
}

// TestHTTPWithoutABody: HEAD has the answer of GET without its body; OPTIONS
// says what there is.
func TestHTTPWithoutABody(t *testing.T) {
	g := start(t, listed+devicesOf("pump"))
	head := refusedHTTP{method: "HEAD", path: "/api/v1/pump-token/attributes"}
	resp := head.do(t, g)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Empty(t, body)
	require.Equal(t, 503, resp.StatusCode)
	for _, path := range []string{"/api/v1/pump-token/telemetry", "/api/v1/pump-token/attributes"} {
		options := refusedHTTP{method: "OPTIONS", path: path}
		resp := options.do(t, g)
		require.Equal(t, 204, resp.StatusCode)
		require.Contains(t, resp.Header.Get("Allow"), "POST")
		resp.Body.Close()
	}
}

// TestQuestionsOverHTTP: an answer comes back as it is; a service that is
// silent is 504 after three seconds.
func TestQuestionsOverHTTP(t *testing.T) {
	t.Parallel()
	g := start(t, listed+devicesOf("pump", "fan"))
	conn := g.connect(t)
	answering(t, conn, "pump", `{"shared":{"interval":30}}`)
	answering(t, conn, "fan", "")

	resp, err := http.Get(g.HTTP + "/api/v1/pump-token/attributes?clientKeys=a,b&sharedKeys=c")
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, 200, resp.StatusCode)
	require.Equal(t, `{"shared":{"interval":30}}`, string(body))
	require.Equal(t, "application/json", resp.Header.Get("Content-Type"))

	begin := time.Now()
	resp, err = http.Get(g.HTTP + "/api/v1/fan-token/attributes")
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, 504, resp.StatusCode)
	require.GreaterOrEqual(t, time.Since(begin), 3*time.Second)
	require.Equal(t, 200, post(t, g, "pump-token").StatusCode)
}

// answering is a service for one device of acme; with "" it listens and is
// silent. It is there when answering returns.
func answering(t *testing.T, conn *nats.Conn, device, answer string) {
	t.Helper()
	_, err := conn.Subscribe("weir.call.acme."+device+".attributes", func(m *nats.Msg) {
		if answer != "" {
			m.Respond([]byte(answer))
		}
	})
	require.NoError(t, err)
	require.NoError(t, conn.Flush())
}

// TestOpenModeBounds: names that make no subject, and one device too many.
func TestOpenModeBounds(t *testing.T) {
	g := start(t, "\ndevices: {maxOpen: 2}\n")
	require.Equal(t, 200, post(t, g, "one").StatusCode)
	for _, name := range []string{strings.Repeat("n", 600), "a%00b", "%FF"} {
		require.Equal(t, 400, post(t, g, name).StatusCode, name)
	}
	require.Equal(t, 400, post(t, g, strings.Repeat("%C3%A9", 100)).StatusCode, "too long once it is escaped")
	require.Equal(t, 503, post(t, g, "three").StatusCode, "one device too many")
	require.Equal(t, 200, post(t, g, "one").StatusCode, "those known go on")
	require.Len(t, kept(t, g.connect(t), "WEIR_UP"), 2)
}

// TestGarbageOverTCP: what is no HTTP is answered or closed, and costs nobody
// else anything.
func TestGarbageOverTCP(t *testing.T) {
	g := start(t, listed+devicesOf("pump"))
	require.Equal(t, 200, post(t, g, "pump-token").StatusCode)
	lines, series := g.logLines(), g.series(t)
	const target = "POST /api/v1/pump-token/telemetry HTTP/1.1\r\nHost: weir\r\n"
	tests := []struct{ name, sent, code string }{
		{"noise", "\x00\xff\x16 noise\r\n\r\n", "400"},
		{"a TLS hello", "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n", "400"},
		{"an MQTT CONNECT", "\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00\r\n\r\n", "400"},
		{"no host", "GET / HTTP/1.1\r\n\r\n", "400"},
		{"HTTP of the future", "GET / HTTP/9.9\r\nHost: weir\r\n\r\n", "505"},
		{"two lengths", target + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "400"},
		{"a length below zero", target + "Content-Length: -2\r\n\r\n{}", "400"},
		{"an encoding nobody knows", target + "Transfer-Encoding: rot13\r\n\r\n{}", "501"},
		{"a chunk that is none", target + "Transfer-Encoding: chunked\r\n\r\nZZ\r\n{}\r\n0\r\n\r\n", "400"},
		{"a header without end", target + "X: " + strings.Repeat("x", 64<<10) + "\r\n\r\n", "431"},
		{"a body that never came", target + "Content-Length: 9\r\n\r\n{}", "400"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for range 20 {
				require.Equal(t, tt.code, said(t, host(t, g.HTTP), tt.sent))
			}
			require.Equal(t, 200, post(t, g, "pump-token").StatusCode)
		})
	}
	g.stillQuiet(t, lines, series)
	require.Len(t, kept(t, g.connect(t), "WEIR_UP"), 1+len(tests))
}

// said is the status of the answer to what was sent before the connection was
// half closed.
func said(t *testing.T, addr, sent string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer conn.Close()
	// The answer may come, and the connection close, before all is sent.
	_, _ = io.WriteString(conn, sent)
	_ = conn.(*net.TCPConn).CloseWrite()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
	line, err := bufio.NewReader(conn).ReadString('\n')
	require.NoError(t, err)
	_, rest, _ := strings.Cut(line, " ")
	code, _, _ := strings.Cut(rest, " ")
	return code
}
