package bus_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/bus"
)

// payloads is what a stream holds, each payload with how often.
func payloads(msgs []*jetstream.RawStreamMsg) map[string]int {
	n := map[string]int{}
	for _, m := range msgs {
		n[string(m.Data)]++
	}
	return n
}

// submitAll submits n numbered messages of seven devices and is how each ended.
func submitAll(t *testing.T, b *bus.Bus, n int, change func(i int, r *bus.Record)) map[uint64]error {
	o := newOutcomes()
	for i := range n {
		r := record("d"+strconv.Itoa(i%7), strconv.Itoa(i))
		change(i, r)
		require.NoError(t, b.Submit(r, o, uint64(i)))
	}
	return o.wait(t, n)
}

// TestNobodyPaysForAnother has a batch fail for one member's sake.
func TestNobodyPaysForAnother(t *testing.T) {
	const n, bad = 400, 251
	b := openBus(t, embeddedConfig(t))
	js, err := jetstream.New(b.Conn())
	require.NoError(t, err)
	s, err := js.Stream(t.Context(), "WEIR_UP")
	require.NoError(t, err)
	cfg := s.CachedInfo().Config
	cfg.MaxMsgSize = 2000 // an operator's own limit, of which the gateway knows nothing
	_, err = js.UpdateStream(t.Context(), cfg)
	require.NoError(t, err)

	ended := submitAll(t, b, n, func(i int, r *bus.Record) {
		if i == bad {
			r.Payload = []byte(strings.Repeat("x", 4000))
		}
	})
	for i, err := range ended {
		if i == bad {
			require.ErrorIs(t, err, bus.ErrTooLarge)
		} else {
			require.NoError(t, err, i)
		}
	}
	require.Len(t, all(t, b.Conn(), bus.StreamUp), n-1)
}

// TestMessageIDs sends some messages twice with their ids: each is
// acknowledged both times and stored once, in order among those without.
func TestMessageIDs(t *testing.T) {
	const n = 300
	b := openBus(t, embeddedConfig(t))
	for range 2 {
		for i, err := range submitAll(t, b, n, func(i int, r *bus.Record) {
			if i%5 == 0 && i%7 < 3 {
				r.MsgID = "id-" + strconv.Itoa(i)
			}
		}) {
			require.NoError(t, err, i)
		}
	}
	last := map[string]int{}
	msgs := all(t, b.Conn(), bus.StreamUp)
	for _, m := range msgs[:n] {
		i, err := strconv.Atoi(string(m.Data))
		require.NoError(t, err)
		before, seen := last[m.Subject]
		require.True(t, !seen || before < i, "%s: %d after %d", m.Subject, i, before)
		last[m.Subject] = i
	}
	for text, times := range payloads(msgs) {
		i, err := strconv.Atoi(text)
		require.NoError(t, err)
		want := 2
		if i%5 == 0 && i%7 < 3 {
			want = 1
		}
		require.Equal(t, want, times, i)
	}
}

// TestStoreFull fills a stream that refuses: what is acknowledged is stored,
// the rest is told so.
func TestStoreFull(t *testing.T) {
	cfg := embeddedConfig(t)
	cfg.Up = bus.UpConfig{MaxBytes: 50_000, WhenFull: bus.Refuse}
	b := openBus(t, cfg)
	yes := 0
	for i, err := range submitAll(t, b, 1000, func(int, *bus.Record) {}) {
		if err == nil {
			yes++
		} else {
			require.ErrorIs(t, err, bus.ErrAway, i)
		}
	}
	msgs := all(t, b.Conn(), bus.StreamUp)
	require.Len(t, msgs, yes)
	require.Greater(t, yes, 100)
	require.Less(t, yes, 1000)
}

// TestServerAway stops an external NATS in the middle and starts it again.
func TestServerAway(t *testing.T) {
	e := startExternal(t)
	cfg := &bus.Config{URL: e.s.ClientURL(), Timeout: 8 * time.Second}
	b := openBus(t, cfg)

	var acked sync.Map
	var next, refused atomic.Uint64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				i := strconv.FormatUint(next.Add(1), 10)
				answer := make(answered, 1)
				if err := b.Submit(record("d"+strconv.Itoa(worker), i), answer, 0); err != nil {
					refused.Add(1)
					continue
				}
				if <-answer == nil {
					acked.Store(i, true)
				} else {
					refused.Add(1)
				}
			}
		})
	}
	stored := func() uint64 { return b.Stats().Stored }
	require.Eventually(t, func() bool { return stored() > 200 }, patience, time.Millisecond)
	e.stop()
	require.Eventually(t, func() bool { return b.Ready() != nil }, patience, time.Millisecond)
	at := stored()
	e.start()
	back := time.Now()
	require.Eventually(t, func() bool { return stored() > at+50 && b.Ready() == nil }, patience, time.Millisecond)
	t.Logf("storing again %s after the server was back", time.Since(back))
	close(stop)
	wg.Wait()

	held := payloads(all(t, b.Conn(), bus.StreamUp))
	acked.Range(func(i, _ any) bool {
		require.Positive(t, held[i.(string)], "%s was acknowledged and is not there", i)
		return true
	})
}

type answered chan error

func (a answered) Complete(_ uint64, err error) { a <- err }

// TestAwayForLong has the server stay away: everything is answered in time,
// and then new messages are refused at once.
func TestAwayForLong(t *testing.T) {
	e := startExternal(t)
	b := openBus(t, &bus.Config{URL: e.s.ClientURL(), Timeout: time.Second})
	e.stop()
	require.Eventually(t, func() bool { return b.Ready() != nil }, patience, time.Millisecond)
	o := newOutcomes()
	n := 0
	require.Eventually(t, func() bool {
		n++
		return errors.Is(b.Submit(record("d", "x"), o, uint64(n)), bus.ErrAway)
	}, patience, time.Millisecond)
	for _, err := range o.wait(t, n-1) {
		require.ErrorIs(t, err, bus.ErrAway)
	}
	_, err := b.Call(t.Context(), "default", "d", "rpc", nil)
	require.ErrorIs(t, err, bus.ErrAway)
	require.Zero(t, b.Stats().Stored)
	e.start()
	require.Eventually(t, func() bool { return b.Ready() == nil }, patience, time.Millisecond)
	ok := newOutcomes()
	require.NoError(t, b.Submit(record("d", "back"), ok, 1))
	require.NoError(t, ok.wait(t, 1)[1])
}

// TestLateAnswers hands the lane answers that are not this batch's: another
// batch's, one counting too few, an old attempt's, nonsense. None may pass for an
// acknowledgement. The stream is deleted, so that no true answer comes.
func TestLateAnswers(t *testing.T) {
	cfg := embeddedConfig(t)
	cfg.Timeout = time.Second
	b := openBus(t, cfg)
	js, err := jetstream.New(b.Conn())
	require.NoError(t, err)
	require.NoError(t, js.DeleteStream(t.Context(), "WEIR_UP"))
	// A silent stand-in for the stream, which notes where answers are wanted and lies.
	batches := make(chan string, 1)
	_, err = b.Conn().Subscribe("weir.up.>", func(m *nats.Msg) {
		if id := m.Header.Get("Nats-Batch-Id"); id != "" && m.Reply != "" {
			select {
			case batches <- id:
			default:
			}
		}
		for _, lie := range []string{
			`{"stream":"WEIR_UP","seq":7,"batch":"another","count":200}`,
			fmt.Sprintf(`{"stream":"WEIR_UP","seq":7,"batch":%q,"count":124}`, m.Header.Get("Nats-Batch-Id")),
			`{"stream":"WEIR_UP","seq":7}`, `{}`, ``, `{"seq":`, `null`,
		} {
			if m.Reply == "" || m.Header.Get("Nats-Batch-Id") == "" {
				return
			}
			_ = b.Conn().Publish(m.Reply, []byte(lie))
			_ = b.Conn().Publish(b.ReplyPrefix()+"0.0", []byte(`{"stream":"WEIR_UP","seq":9}`))
			_ = b.Conn().Publish(b.ReplyPrefix()+"x.y", []byte(`{"stream":"WEIR_UP","seq":9}`))
		}
	})
	require.NoError(t, err)
	for i, err := range submitAll(t, b, 200, func(int, *bus.Record) {}) {
		require.ErrorIs(t, err, bus.ErrAway, i)
	}
	require.NotEmpty(t, <-batches)
}

// TestUnknownOutcome has the store take a batch and lose the answer: the batch
// is sent again and says so.
func TestUnknownOutcome(t *testing.T) {
	cfg := embeddedConfig(t)
	cfg.Timeout = 2 * time.Second
	b := openBus(t, cfg)
	js, err := jetstream.New(b.Conn())
	require.NoError(t, err)
	require.NoError(t, js.DeleteStream(t.Context(), "WEIR_UP"))
	var commits atomic.Int32
	again := make(chan *nats.Msg, 1000)
	_, err = b.Conn().Subscribe("weir.up.>", func(m *nats.Msg) {
		if m.Header.Get("Weir-Maybe-Duplicate") == "1" {
			again <- m
		}
		if m.Reply != "" && commits.Add(1) > 3 {
			_ = b.Conn().Publish(m.Reply, fmt.Appendf(nil, `{"stream":"WEIR_UP","seq":7,"batch":%q,"count":%s}`,
				m.Header.Get("Nats-Batch-Id"), orZero(m.Header.Get("Nats-Batch-Sequence"))))
		}
	})
	require.NoError(t, err)
	for i, err := range submitAll(t, b, 200, func(int, *bus.Record) {}) {
		if err != nil {
			require.ErrorIs(t, err, bus.ErrAway, i)
		}
	}
	require.NotEmpty(t, again)
}

func orZero(s string) string {
	if s == "" {
		return "0"
	}
	return s
}

// TestBounds fills the queue while the store is away.
func TestBounds(t *testing.T) {
	tests := []struct {
		name              string
		limit, limitBytes int
		want              int
	}{
		{"messages", 50, 0, 50},
		{"bytes", 0, 50_000, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := startExternal(t)
			b := openBus(t, &bus.Config{URL: e.s.ClientURL(), Timeout: 2 * time.Second, Limit: tt.limit, LimitBytes: tt.limitBytes})
			e.stop()
			require.Eventually(t, func() bool { return b.Ready() != nil }, patience, time.Millisecond)
			o := newOutcomes()
			n := 0
			var err error
			for ; err == nil; n++ {
				err = b.Submit(record("d", strings.Repeat("x", 1000)), o, uint64(n))
			}
			require.ErrorIs(t, err, bus.ErrFull)
			// A batch of up to a thousand may have left the queue for the committer.
			require.LessOrEqual(t, n, 1+max(tt.limit, tt.limitBytes/1000)*2+bus.MaxBatch)
			for _, err := range o.wait(t, n-1) {
				require.ErrorIs(t, err, bus.ErrAway)
			}
			require.Equal(t, uint64(1), b.Stats().Refused)
		})
	}
}
