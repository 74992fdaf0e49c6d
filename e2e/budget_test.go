package e2e_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
	"github.com/stretchr/testify/require"
)

// limited is a quota of ten requests in two seconds, and nobody on the white
// list.
const limited = `
quota:
  host: {enabled: true, limit: 10, intervalMs: 2000, ttlMs: 2000, cleanPeriodMs: 1000, whitelist: ""}
`

// generous is the same with a window that no test outlives.
const generous = `
quota:
  host: {enabled: true, limit: 10, intervalMs: 600000, ttlMs: 600000, whitelist: ""}
`

// post sends a reading over HTTP and is the answer, its body closed.
func post(t *testing.T, g *gateway, token string) *http.Response {
	t.Helper()
	resp, err := http.Post(g.HTTP+"/api/v1/"+token+"/telemetry", "application/json", strings.NewReader(`{"n":1}`))
	require.NoError(t, err)
	resp.Body.Close()
	return resp
}

// coapPost sends a confirmable reading with libcoap's client and is what it
// printed of the answer: "" for 2.01, else the code and the diagnostic.
func coapPost(t *testing.T, g *gateway, token string) string {
	t.Helper()
	client := tool(t, "coap-client-notls", "libcoap3-bin")
	out, _ := run(t, client, "-m", "post", "-B", "10", "-e", `{"n":1}`, "coap://"+g.CoAP+"/api/v1/"+token+"/telemetry")
	return strings.TrimSpace(out)
}

// mqttPublish sends a reading with QoS 1 by mosquitto's client and is what it
// printed and its exit code. A success costs three requests: CONNECT, PUBLISH,
// DISCONNECT.
func mqttPublish(t *testing.T, g *gateway, version, token string) (string, int) {
	t.Helper()
	client := tool(t, "mosquitto_pub", "mosquitto-clients")
	host, port, err := net.SplitHostPort(g.MQTT)
	require.NoError(t, err)
	return run(t, client, "-V", version, "-h", host, "-p", port, "-u", token, "-q", "1",
		"-t", "v1/devices/me/telemetry", "-m", `{"n":1}`)
}

// TestOneBudget: ten requests by any mix of the three protocols, and the
// eleventh is refused by each in its own words.
func TestOneBudget(t *testing.T) {
	g := start(t, generous)
	for range 4 {
		require.Equal(t, 200, post(t, g, "pump").StatusCode)
	}
	_, code := mqttPublish(t, g, "mqttv5", "pump") // 5, 6, 7
	require.Zero(t, code)
	for range 3 {
		require.Empty(t, coapPost(t, g, "pump")) // 8, 9, 10
	}

	resp := post(t, g, "pump")
	require.Equal(t, 509, resp.StatusCode)
	wait, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	require.NoError(t, err)
	require.Positive(t, wait)
	require.Contains(t, coapPost(t, g, "pump"), "4.00")
	out, code := mqttPublish(t, g, "mqttv5", "pump")
	require.NotZero(t, code)
	require.Contains(t, out, "Quota exceeded")
	out, code = mqttPublish(t, g, "mqttv311", "pump")
	require.NotZero(t, code)
	require.Contains(t, out, "unavailable", "CONNACK 3")

	conn := g.connect(t)
	require.Len(t, stored(t, conn, "WEIR_UP"), 8, "what was admitted, and nothing else")
}

// TestCurlIsToldEverything: the refusal's fields and body as a shell sees them.
func TestCurlIsToldEverything(t *testing.T) {
	curl := tool(t, "curl", "curl")
	g := start(t, generous)
	for range 10 {
		post(t, g, "pump")
	}
	out, code := run(t, curl, "-s", "-i", "-d", "{}", g.HTTP+"/api/v1/pump/telemetry")
	require.Zero(t, code)
	require.Contains(t, out, "HTTP/1.1 509 Bandwidth Limit Exceeded")
	require.Regexp(t, `(?m)^RateLimit-Policy: "host";q=10;w=600;pk=:[^:]+:\r$`, out)
	require.Regexp(t, `(?m)^RateLimit: "host";r=0;t=(600|59\d);pk=:[^:]+:\r$`, out)
	require.Contains(t, out, "Content-Type: application/problem+json")
	require.Contains(t, out, "https://iana.org/assignments/http-problem-types#quota-exceeded")
	require.Contains(t, out, `"violated-policies":["host"]`)
}

// TestALiveSessionEnds: a session over its quota is told 0x97 with the policy
// and the wait over MQTT 5, and closed without a word over 3.1.1.
func TestALiveSessionEnds(t *testing.T) {
	t.Run("MQTT 5", func(t *testing.T) {
		g := start(t, generous)
		goodbye := make(chan *paho.Disconnect, 1)
		client := connectV5(t, g, "pump", func(d *paho.Disconnect) { goodbye <- d })
		reading := &paho.Publish{QoS: 1, Topic: "v1/devices/me/telemetry", Payload: []byte(`{"n":1}`)}
		acked := 0
		for ctx, cancel := context.WithTimeout(t.Context(), patience); ; acked++ {
			defer cancel()
			if ack, err := client.Publish(ctx, reading); err != nil {
				break
			} else {
				require.Less(t, ack.ReasonCode, byte(0x80))
			}
			require.Less(t, acked, 9, "CONNECT was the first of ten")
		}
		require.Contains(t, []int{8, 9}, acked, "paho begins with a PINGREQ of its own, soon or late")
		select {
		case d := <-goodbye:
			require.EqualValues(t, 0x97, d.ReasonCode)
			require.Regexp(t, `policy host, used 10 of 10, retry after \d+ s`, d.Properties.ReasonString)
			require.Equal(t, "host", d.Properties.User.Get("policy"))
			require.Regexp(t, `^\d+$`, d.Properties.User.Get("retry-after"))
		case <-time.After(patience):
			t.Fatal("no DISCONNECT")
		}
	})
	t.Run("MQTT 3.1.1 by MQTT.js", func(t *testing.T) {
		g := start(t, generous)
		out := node(t, "mqtt_publish.js", "mqtt://"+g.MQTT, "pump", "4", "12")
		require.Contains(t, out, "closed")
		require.NotContains(t, out, "disconnect")
		require.Len(t, stored(t, g.connect(t), "WEIR_UP"), 9)
	})
	t.Run("MQTT 5 by MQTT.js", func(t *testing.T) {
		g := start(t, generous)
		out := node(t, "mqtt_publish.js", "mqtt://"+g.MQTT, "pump", "5", "12")
		require.Regexp(t, `disconnect 151 .*policy host`, out)
	})
}

// connectV5 is a session of paho's MQTT 5 client.
func connectV5(t *testing.T, g *gateway, token string, onDisconnect func(*paho.Disconnect)) *paho.Client {
	t.Helper()
	conn, err := net.Dial("tcp", g.MQTT)
	require.NoError(t, err)
	client := paho.NewClient(paho.ClientConfig{
		Conn: packets.NewThreadSafeConn(conn), OnServerDisconnect: onDisconnect, PacketTimeout: 2 * time.Second,
		OnClientError: func(error) {},
	})
	ack, err := client.Connect(t.Context(), &paho.Connect{
		ClientID: t.Name(), CleanStart: true, KeepAlive: 60, Username: token, UsernameFlag: true,
	})
	require.NoError(t, err)
	require.Zero(t, ack.ReasonCode)
	t.Cleanup(func() { conn.Close() })
	return client
}

// node runs a script of js/ and is what it printed.
func node(t *testing.T, script string, args ...string) string {
	t.Helper()
	path := tool(t, "node", "nodejs")
	if _, code := run(t, path, "-e", "require.resolve('mqtt', {paths: ['js']})"); code != 0 {
		missing(t, "npm packages of e2e/js (npm --prefix e2e/js ci)")
	}
	out, _ := run(t, path, append([]string{"js/" + script}, args...)...)
	return out
}

// TestNodeCoAP: npm's coap is answered 2.01 ten times and then 4.00 with the
// wait in Max-Age.
func TestNodeCoAP(t *testing.T) {
	g := start(t, generous)
	out := node(t, "coap_post.js", "coap://"+g.CoAP+"/api/v1/pump/telemetry", "11")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	require.Len(t, lines, 11, out)
	for _, l := range lines[:10] {
		require.True(t, strings.HasPrefix(l, "2.01"), l)
	}
	found := regexp.MustCompile(`^4\.00 (\d+) .*policy host`).FindStringSubmatch(lines[10])
	require.NotNil(t, found, lines[10])
	wait, err := strconv.Atoi(found[1])
	require.NoError(t, err)
	require.InDelta(t, 630, wait, 40, "the window, and up to a tenth more")
}

// TestTheWaitIsTrue: after the seconds that the refusal told the host is
// admitted again, not before the window's end.
func TestTheWaitIsTrue(t *testing.T) {
	g := start(t, limited)
	begin := time.Now()
	for range 10 {
		require.Equal(t, 200, post(t, g, "pump").StatusCode)
	}
	resp := post(t, g, "pump")
	require.Equal(t, 509, resp.StatusCode)
	wait, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	require.NoError(t, err)
	told := time.Now().Add(time.Duration(wait) * time.Second)
	require.Eventually(t, func() bool { return !time.Now().Before(told) }, patience, 10*time.Millisecond)
	require.Equal(t, 200, post(t, g, "pump").StatusCode)
	require.Greater(t, time.Since(begin), 2*time.Second)
}

// TestLists: a white host is never refused, a black one always and at once, by
// all three protocols.
func TestLists(t *testing.T) {
	t.Run("white", func(t *testing.T) {
		g := start(t, `quota: {host: {enabled: true, limit: 1, whitelist: "127.0.0.0/8"}}`)
		for range 5 {
			resp := post(t, g, "pump")
			require.Equal(t, 200, resp.StatusCode)
			require.Empty(t, resp.Header.Get("RateLimit"), "it is not counted")
			require.Empty(t, coapPost(t, g, "pump"))
			_, code := mqttPublish(t, g, "mqttv311", "pump")
			require.Zero(t, code)
		}
	})
	for _, tt := range []struct{ name, host, profile, http, coap string }{
		{"black", "127.0.0.1", "thingsboard", "509", "4.00"},
		{"black by name", "localhost", "thingsboard", "509", "4.00"},
		{"black, in modern words", "127.0.0.1", "standard", "403", "4.03"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := start(t, fmt.Sprintf(`quota: {host: {whitelist: "", blacklist: %q, profile: %s}}`, tt.host, tt.profile))
			require.Equal(t, tt.http, strconv.Itoa(post(t, g, "pump").StatusCode))
			require.Contains(t, coapPost(t, g, "pump"), tt.coap)
			out, code := mqttPublish(t, g, "mqttv5", "pump")
			require.NotZero(t, code)
			require.Contains(t, out, "Banned")
			_, code = mqttPublish(t, g, "mqttv311", "pump")
			require.NotZero(t, code)
			require.Empty(t, stored(t, g.connect(t), "WEIR_UP"))
		})
	}
}

// TestOneHostManyAddresses: behind a PROXY protocol, two addresses of one IPv6
// /64 are one host, and so are the two forms of an IPv4 address.
func TestOneHostManyAddresses(t *testing.T) {
	g := startIn(t, t.TempDir(), `
transports:
  http: {listen: "127.0.0.1:0", trustedProxies: [127.0.0.1], proxyProtocol: on}
  mqtt: {listen: "127.0.0.1:0"}
  coap: {listen: "127.0.0.1:0"}
control: {listen: "127.0.0.1:0"}
nats: {embedded: {listen: "127.0.0.1:0"}}
`+generous)
	tests := []struct{ name, one, other, stranger string }{
		{"IPv6", "2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1"},
		{"IPv4 in IPv6", "192.0.2.7", "::ffff:192.0.2.7", "192.0.2.8"},
		{"NAT64", "192.0.2.17", "64:ff9b::192.0.2.17", "192.0.2.18"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for n := range 10 {
				from := tt.one
				if n%2 == 1 {
					from = tt.other
				}
				require.Equal(t, 200, proxied(t, g, from), from)
			}
			require.Equal(t, 509, proxied(t, g, tt.one))
			require.Equal(t, 509, proxied(t, g, tt.other))
			require.Equal(t, 200, proxied(t, g, tt.stranger))
		})
	}
}

// proxied sends a reading as a proxy does for the client at addr, and is the
// answer's status.
func proxied(t *testing.T, g *gateway, addr string) int {
	t.Helper()
	family, to := "TCP4", "192.0.2.99"
	if strings.Contains(addr, ":") {
		family, to = "TCP6", "2001:db8::99"
	}
	u, err := url.Parse(g.HTTP)
	require.NoError(t, err)
	conn, err := net.Dial("tcp", u.Host)
	require.NoError(t, err)
	defer conn.Close()
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			_, err := fmt.Fprintf(conn, "PROXY %s %s %s 40000 8080\r\n", family, addr, to)
			return conn, err
		},
	}}
	resp, err := client.Post(g.HTTP+"/api/v1/pump/telemetry", "application/json", strings.NewReader(`{}`))
	require.NoError(t, err)
	resp.Body.Close()
	return resp.StatusCode
}
