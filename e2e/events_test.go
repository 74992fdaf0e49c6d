package e2e_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// cloudEvent is the envelope of CloudEvents 1.0 and, of the data, what any of
// weir's events has.
type cloudEvent struct {
	SpecVersion, ID, Source, Type, DataContentType string
	Time                                           time.Time
	Data                                           eventData
}

type eventData struct {
	Node                     string
	From, To, Since          time.Time
	Hosts, Requests, Refused int
	Rate, Window             float64
	Top                      []offender
	Host, Policy             string
	Used, Quota              int
	Transports               []string
	Account, Device          string
	ClientID, Transport      string
	Reason                   string
}

type offender struct {
	Host              string
	Requests, Refused int
	Rate              float64
	Transports        []string
	LastSeen          time.Time
	Verdict           string
}

// eventOf reads an event and holds it to the specification: the subject, the
// type and the content type are of one name.
func eventOf(t *testing.T, subject string, header nats.Header, data []byte) cloudEvent {
	t.Helper()
	var e cloudEvent
	require.NoError(t, json.Unmarshal(data, &e), "%s", data)
	name := strings.TrimPrefix(subject, "weir.events.")
	require.Equal(t, "application/cloudevents+json", header.Get("content-type"))
	require.Equal(t, "1.0", e.SpecVersion)
	require.Equal(t, "dev.weir."+name+".v1", e.Type)
	require.Equal(t, "application/json", e.DataContentType)
	require.NotEmpty(t, e.ID)
	require.NotEmpty(t, e.Source)
	require.WithinDuration(t, time.Now(), e.Time, time.Minute)
	require.NotEmpty(t, e.Data.Node)
	return e
}

// ear hears one event's name.
type ear struct {
	t   *testing.T
	sub *nats.Subscription
}

func hear(t *testing.T, g *gateway, name string) *ear {
	t.Helper()
	conn := g.connect(t)
	sub, err := conn.SubscribeSync("weir.events." + name)
	require.NoError(t, err)
	require.NoError(t, conn.Flush())
	return &ear{t, sub}
}

// next is the next event, which must come soon.
func (e *ear) next() cloudEvent {
	e.t.Helper()
	m, err := e.sub.NextMsg(patience)
	require.NoError(e.t, err)
	return eventOf(e.t, m.Subject, m.Header, m.Data)
}

// silent fails if an event comes, or has come, within wait.
func (e *ear) silent(wait time.Duration) {
	e.t.Helper()
	if m, err := e.sub.NextMsg(wait); err == nil {
		e.t.Fatalf("%s: %s", m.Subject, m.Data)
	}
}

// TestOffenders: who asked most is told on NATS and in the log, idle or not;
// the requests of a host are those of all protocols, and an allowed host is
// left out.
func TestOffenders(t *testing.T) {
	t.Parallel()
	g := start(t, `
quota:
  host: {enabled: true, limit: 5, intervalMs: 60000, ttlMs: 60000, whitelist: "127.0.0.9", blacklist: "127.0.0.8"}
  log: {topSize: 2, intervalMin: 0.02}
`)
	reports := hear(t, g, "offenders")
	idle := reports.next()
	require.Empty(t, idle.Data.Top)
	require.Zero(t, idle.Data.Requests)

	for range 6 {
		post(t, g, "pump")
	}
	newCoAP(t, g).ask(coapAsk{code: 2, path: "/api/v1/pump/telemetry", payload: "{}"})
	for _, h := range []struct {
		addr string
		n    int
	}{{"127.0.0.9", 20}, {"127.0.0.8", 3}, {"127.0.0.7", 1}} {
		for range h.n {
			postFrom(t, g, h.addr)
		}
	}

	byHost, sum := map[string]offender{}, eventData{}
	require.Eventually(t, func() bool {
		e := reports.next()
		d := e.Data
		require.LessOrEqual(t, len(d.Top), 2)
		require.True(t, d.To.After(d.From))
		require.InDelta(t, float64(d.Requests)/d.To.Sub(d.From).Seconds(), d.Rate, 0.01, "over the true seconds")
		require.InDelta(t, 1.2, d.To.Sub(d.From).Seconds(), 1)
		sum.Requests, sum.Refused = sum.Requests+d.Requests, sum.Refused+d.Refused
		for i, o := range d.Top {
			if i > 0 {
				require.LessOrEqual(t, o.Requests, d.Top[i-1].Requests, "most first")
			}
			have := byHost[o.Host]
			o.Requests, o.Refused = o.Requests+have.Requests, o.Refused+have.Refused
			byHost[o.Host] = o
		}
		return sum.Requests >= 11
	}, patience, time.Millisecond)
	require.Equal(t, 11, sum.Requests, "the allowed host's are not counted")
	require.Equal(t, 5, sum.Refused)
	require.NotContains(t, byHost, "127.0.0.9")
	require.Equal(t, 7, byHost["127.0.0.1"].Requests)
	require.Equal(t, 2, byHost["127.0.0.1"].Refused)
	require.Equal(t, "neutral", byHost["127.0.0.1"].Verdict)
	require.WithinDuration(t, time.Now(), byHost["127.0.0.1"].LastSeen, time.Minute)
	require.Equal(t, "denied", byHost["127.0.0.8"].Verdict)
	require.Equal(t, 3, byHost["127.0.0.8"].Refused)

	line := regexp.MustCompile(`(?m)^time=\S+ level=INFO msg=offenders .*requests=\d.*127\.0\.0\.1`)
	require.Eventually(t, func() bool { return line.MatchString(g.log.String()) }, patience, 10*time.Millisecond)
	require.NotEmpty(t, kept(t, g.connect(t), "WEIR_EVENTS"))
}

// TestASpell: exceeding is told once, however often it is refused; recovering
// once a whole window has passed without a refusal.
func TestASpell(t *testing.T) {
	t.Parallel()
	g := start(t, `
quota:
  host: {enabled: true, limit: 2, intervalMs: 1000, ttlMs: 1000, cleanPeriodMs: 500, whitelist: ""}
`)
	exceeded, recovered := hear(t, g, "exceeded"), hear(t, g, "recovered")
	const spells = 2
	for range spells {
		begin := time.Now()
		for range 20 {
			post(t, g, "pump")
		}
		newCoAP(t, g).ask(coapAsk{code: 2, path: "/api/v1/pump/telemetry", payload: "{}"})
		last := time.Now()

		e := exceeded.next().Data
		require.Equal(t, "127.0.0.1", e.Host)
		require.Equal(t, "host", e.Policy)
		require.Equal(t, 2, e.Used)
		require.Equal(t, 2, e.Quota)
		require.InDelta(t, 1, e.Window, 1e-9)
		require.Contains(t, e.Transports, "http")
		require.WithinDuration(t, begin, e.Since, 5*time.Second)

		r := recovered.next()
		require.Equal(t, "127.0.0.1", r.Data.Host)
		require.GreaterOrEqual(t, r.Data.Refused, 10)
		require.GreaterOrEqual(t, time.Since(last), 900*time.Millisecond, "one whole window")
	}
	exceeded.silent(100 * time.Millisecond)
	recovered.silent(0)

	names := map[string]int{}
	for _, m := range kept(t, g.connect(t), "WEIR_EVENTS") {
		eventOf(t, m.Subject(), m.Headers(), m.Data())
		names[m.Subject()]++
	}
	require.Equal(t, spells, names["weir.events.exceeded"])
	require.Equal(t, spells, names["weir.events.recovered"])
	require.Less(t, strings.Count(g.log.String(), "exceeds"), spells+1, "no line per request")
}

// TestPresence: MQTT sessions begin and end with an event.
func TestPresence(t *testing.T) {
	t.Parallel()
	g := start(t, "\nquota: {}\n"+devicesOf("pump"))
	connected, disconnected := hear(t, g, "connected"), hear(t, g, "disconnected")
	client := connectV5(t, g, "pump-token", func(*paho.Disconnect) {})
	c := connected.next().Data
	require.Equal(t, "acme", c.Account)
	require.Equal(t, "pump", c.Device)
	require.Equal(t, t.Name(), c.ClientID)
	require.Equal(t, "127.0.0.1", c.Host)
	require.Equal(t, "mqtt", c.Transport)
	require.NoError(t, client.Disconnect(&paho.Disconnect{}))
	d := disconnected.next().Data
	require.Equal(t, "pump", d.Device)
	require.NotEmpty(t, d.Reason)

	p := mqttHello(t, g, false, "pump-token")
	connected.next()
	p.conn.Close()
	require.NotEqual(t, d.Reason, disconnected.next().Data.Reason, "a lost connection")

	p = mqttRaw(t, g, false)
	p.send(p.hello("", "stranger"))
	p.read()
	p.closed()
	connected.silent(50 * time.Millisecond)
	disconnected.silent(0)
	for _, m := range kept(t, g.connect(t), "WEIR_EVENTS") {
		require.NotContains(t, string(m.Data()), "pump-token")
	}
}

// TestEscapedSubjects: nothing in a token can be another subject than its own.
func TestEscapedSubjects(t *testing.T) {
	g := start(t, "")
	tests := []struct{ name, inPath, token, subject string }{
		{"dots", "a.b..c", "a.b..c", "a%2Eb%2E%2Ec"},
		{"wildcards", "*.%3E", "*.>", "%2A%2E%3E"},
		{"blanks", "a%20b%20", "a b ", "a%20b%20"},
		{"unicode", "%C3%A9", "é", "%C3%A9"},
		{"a percent sign", "%252E", "%2E", "%252E"},
		{"a dollar", "$JS.API", "$JS.API", "%24JS%2EAPI"},
		{"plain", "Pump_1-a", "Pump_1-a", "Pump_1-a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, 200, post(t, g, tt.inPath).StatusCode)
			require.Equal(t, "2.01", dotted(newCoAP(t, g).ask(coapAsk{code: 2, path: "/api/v1/" + tt.token + "/telemetry", payload: `{"n":2}`}).Code))
			p := mqttHello(t, g, true, tt.token)
			p.send(p.publish("v1/devices/me/telemetry", 1, `{"n":3}`))
			p.answered(1, 0, "")
		})
	}
	all := kept(t, g.connect(t), "WEIR_UP")
	require.Len(t, all, 3*len(tests))
	for i, m := range all {
		tt := tests[i/3]
		require.Equal(t, "weir.up.default."+tt.subject+".telemetry", m.Subject())
		require.Equal(t, []string{"http", "coap", "mqtt"}[i%3], m.Headers().Get("Weir-Transport"))
		require.Equal(t, "127.0.0.1", m.Headers().Get("Weir-Host"))
		require.Equal(t, "default", m.Headers().Get("Weir-Account"))
		require.Equal(t, "application/json", m.Headers().Get("Content-Type"))
		at, err := time.Parse(time.RFC3339, m.Headers().Get("Weir-Received"))
		require.NoError(t, err)
		require.WithinDuration(t, time.Now(), at, time.Minute)
	}
}
