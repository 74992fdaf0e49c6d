package events_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"math"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/weirgate/weir/events"
	"github.com/weirgate/weir/quota"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is what Events reads, and what it has said.
type world struct {
	mu    sync.Mutex // guards what follows
	names []string
	said  []event.Event
	asked []int
	top   []quota.Entry
	last  time.Time
	block chan struct{} // not nil: PublishEvent waits for it
	log   bytes.Buffer
}

func (w *world) PublishEvent(name string, b []byte) {
	if w.block != nil {
		<-w.block
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var ev event.Event
	if err := json.Unmarshal(b, &ev); err != nil {
		panic(err)
	}
	w.names, w.said = append(w.names, name), append(w.said, ev)
}

func (w *world) report(n int) quota.Report {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, n)
	r := quota.Report{From: w.last, To: time.Now(), Hosts: uint64(len(w.top)), Requests: 240, Refused: 60, Top: w.top[:min(n, len(w.top))]}
	w.last = r.To
	return r
}

// count is how many events have been said.
func (w *world) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.said)
}

func key(addr string) quota.Key { return quota.HostKey(netip.MustParseAddr(addr), 64) }

func origins(o quota.Origin) []string {
	var names []string
	for i, n := range []string{"http", "mqtt", "coap"} {
		if o&(1<<i) != 0 {
			names = append(names, n)
		}
	}
	return names
}

func verdict(a netip.Addr) string {
	switch {
	case a.String() == "192.0.2.1":
		return "allowed"
	case a.String() == "192.0.2.2":
		return "denied"
	}
	return "neutral"
}

func (w *world) events(topSize int, interval time.Duration) *events.Events {
	w.last = time.Now()
	return events.New(&events.Config{
		Node: "gate 1", Publisher: w, Log: slog.New(slog.NewJSONHandler(&w.log, nil)),
		Report: w.report, OriginNames: origins, Verdict: verdict, TopSize: topSize, Interval: interval,
	})
}

// run runs e until the test ends; use it inside a synctest bubble.
func run(t *testing.T, e *events.Events) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	return func() {
		cancel()
		require.NoError(t, <-ended)
	}
}

// pass lets time pass in a synctest bubble.
func pass(d time.Duration) { <-time.After(d) }

func TestOffenders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{top: []quota.Entry{
			{Key: key("192.0.2.1"), Requests: 100},
			{Key: key("192.0.2.2"), Requests: 90, Refused: 60, Origins: 5, LastSeen: time.Now()},
			{Key: key("2001:db8::1"), Requests: 30, Origins: 2, LastSeen: time.Now()},
			{Key: key("192.0.2.4"), Requests: 20},
		}}
		stop := run(t, w.events(2, 2*time.Minute))
		defer stop()
		start := time.Now().UTC()
		pass(2*time.Minute - time.Nanosecond)
		synctest.Wait()
		require.Zero(t, w.count())
		pass(time.Nanosecond)
		synctest.Wait()
		require.Equal(t, []string{"offenders"}, w.names)
		require.Greater(t, w.asked[0], 2, "allowed hosts must not eat up the places")
		ev := w.said[0]
		require.NoError(t, ev.Validate())
		require.Equal(t, "1.0", ev.SpecVersion())
		require.Equal(t, "dev.weir.offenders.v1", ev.Type())
		require.Equal(t, "/weir/gate%201", ev.Source())
		require.Equal(t, "application/json", ev.DataContentType())
		require.True(t, ev.Time().Equal(start.Add(2*time.Minute)))
		stamp := func(d time.Duration) string { return start.Add(d).Format(time.RFC3339Nano) }
		require.JSONEq(t, `{"node":"gate 1","from":"`+stamp(0)+`","to":"`+stamp(2*time.Minute)+`",
			"hosts":4,"requests":240,"refused":60,"rate":2,"top":[
			{"host":"192.0.2.2","requests":90,"refused":60,"rate":0.75,"transports":["http","coap"],"lastSeen":"`+stamp(0)+`","verdict":"denied"},
			{"host":"2001:db8::","requests":30,"refused":0,"rate":0.25,"transports":["mqtt"],"lastSeen":"`+stamp(0)+`","verdict":"neutral"}]}`,
			string(ev.Data()))
		var line map[string]any
		require.NoError(t, json.Unmarshal(w.log.Bytes(), &line), "one line: %s", w.log.String())
		var data map[string]any
		require.NoError(t, json.Unmarshal(ev.Data(), &data))
		for k, v := range data {
			require.Equal(t, v, line[k], "the log says the same")
		}
	})
}

func TestReportsIdleOrNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		stop := run(t, w.events(10, time.Minute))
		defer stop()
		pass(3 * time.Minute)
		synctest.Wait()
		require.Len(t, w.said, 3)
		require.Contains(t, string(w.said[2].Data()), `"top":[]`)
		require.NotEqual(t, w.said[0].ID(), w.said[1].ID())
	})
}

func TestSetLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{top: []quota.Entry{{Key: key("192.0.2.2"), Requests: 1}}}
		e := w.events(0, time.Hour)
		stop := run(t, e)
		defer stop()
		pass(10 * time.Minute)
		e.SetLog(1, 5*time.Minute)
		synctest.Wait()
		require.Equal(t, 1, w.count(), "one is due already")
		require.Contains(t, string(w.said[0].Data()), `"host":"192.0.2.2"`)
		pass(time.Minute)
		e.SetLog(0, 3*time.Minute)
		synctest.Wait()
		require.Equal(t, 1, w.count())
		pass(2 * time.Minute)
		synctest.Wait()
		require.Equal(t, 2, w.count(), "3 minutes after the last one")
		require.Contains(t, string(w.said[1].Data()), `"top":[]`)
		require.Zero(t, w.asked[1])
		e.SetLog(1, -1)
		pass(events.DefaultInterval)
		synctest.Wait()
		require.Equal(t, 3, w.count())
	})
}

func TestSpells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		e := w.events(10, time.Hour)
		stop := run(t, e)
		defer stop()
		since := time.Now().UTC()
		tr := quota.Transition{
			Key: key("192.0.2.9"), Policy: &quota.Policy{Name: "host", Quota: 10, Window: time.Minute}, Exceeded: true,
			At: since, Since: since, Used: 10, Quota: 10, Refused: 1, Origins: 3,
		}
		e.Transition(tr)
		tr.Exceeded, tr.At, tr.Refused, tr.Origins = false, since.Add(2*time.Minute), 77, 7
		e.Transition(tr)
		synctest.Wait()
		require.Equal(t, []string{"exceeded", "recovered"}, w.names)
		for i, want := range []struct{ typ, refused, transports string }{
			{"dev.weir.exceeded.v1", "1", `["http","mqtt"]`},
			{"dev.weir.recovered.v1", "77", `["http","mqtt","coap"]`},
		} {
			require.NoError(t, w.said[i].Validate())
			require.Equal(t, want.typ, w.said[i].Type())
			require.JSONEq(t, `{"node":"gate 1","level":"host","key":"192.0.2.9","host":"192.0.2.9","policy":"host","used":10,"quota":10,"window":60,
				"refused":`+want.refused+`,"transports":`+want.transports+`,"since":"`+since.Format(time.RFC3339Nano)+`"}`, string(w.said[i].Data()))
		}
		require.True(t, w.said[1].Time().Equal(tr.At))
		require.Equal(t, 2, strings.Count(w.log.String(), "\n"))
	})
}

func TestSpellsSpareTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		e := w.events(10, time.Hour)
		stop := run(t, e)
		defer stop()
		tr := quota.Transition{Key: key("192.0.2.9"), Policy: &quota.Policy{Name: "host"}, Exceeded: true}
		for range 1000 {
			e.Transition(tr)
		}
		synctest.Wait()
		require.Equal(t, 1000, w.count())
		require.Equal(t, 60, strings.Count(w.log.String(), "\n"))
		pass(time.Minute)
		e.Transition(tr)
		synctest.Wait()
		require.Equal(t, 62, strings.Count(w.log.String(), "\n"))
		require.Contains(t, w.log.String(), `"count":940`)
	})
}

func TestPresence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		e := w.events(10, time.Hour)
		stop := run(t, e)
		defer stop()
		since := time.Now().UTC()
		s := events.Session{Account: "acme", Device: "pump", ClientID: "c-1", Host: "192.0.2.9", Transport: "mqtt", Since: since}
		e.Connected(s)
		pass(time.Second)
		e.Disconnected(s, "keep alive")
		s.ClientID = strings.Repeat("é", 1000)
		e.Connected(s)
		synctest.Wait()
		require.Equal(t, []string{"connected", "disconnected", "connected"}, w.names)
		const fields = `"node":"gate 1","account":"acme","device":"pump","clientId":"c-1","host":"192.0.2.9","transport":"mqtt"`
		at := `,"since":"` + since.Format(time.RFC3339Nano) + `"`
		require.JSONEq(t, "{"+fields+at+"}", string(w.said[0].Data()))
		require.Equal(t, "dev.weir.connected.v1", w.said[0].Type())
		require.JSONEq(t, "{"+fields+at+`,"reason":"keep alive"}`, string(w.said[1].Data()))
		require.Equal(t, "dev.weir.disconnected.v1", w.said[1].Type())
		require.True(t, w.said[1].Time().Equal(since.Add(time.Second)))
		require.Contains(t, string(w.said[2].Data()), `"clientId":"`+strings.Repeat("é", 256)+`"`)
	})
}

func TestNothingBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{block: make(chan struct{})}
		e := w.events(10, time.Hour)
		stop := run(t, e)
		for range 5000 {
			e.Transition(quota.Transition{Key: key("192.0.2.9"), Policy: &quota.Policy{}})
			e.Connected(events.Session{})
			e.Disconnected(events.Session{}, "gone")
		}
		dropped := e.Stats().Dropped
		require.InDelta(t, 15000-2*4096, dropped, 2)
		close(w.block)
		synctest.Wait()
		require.EqualValues(t, 15000-dropped, e.Stats().Published)
		stop()
	})
}

func TestFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		e := w.events(10, time.Hour)
		stop := run(t, e)
		stop()
		e.Transition(quota.Transition{Key: key("192.0.2.9"), Policy: &quota.Policy{}, Exceeded: true})
		e.Disconnected(events.Session{}, "shutting down")
		require.Zero(t, w.count())
		e.Flush()
		require.ElementsMatch(t, []string{"exceeded", "disconnected"}, w.names[:2])
		require.Equal(t, []string{"offenders"}, w.names[2:], "the last report comes last")
		require.Contains(t, string(w.said[2].Data()), `"rate":0,`, "over no time there is no rate")
		e.Flush()
		require.Equal(t, 3, w.count())
	})
}

func TestWhatHasNoJSONIsLost(t *testing.T) {
	w := &world{}
	e := w.events(10, time.Hour)
	e.Connected(events.Session{Since: time.Unix(math.MaxInt32*1000, 0)}) // beyond the year 9999
	e.Flush()
	require.Equal(t, []string{"offenders"}, w.names)
	require.EqualValues(t, 1, e.Stats().Dropped)
}
