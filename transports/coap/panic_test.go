package coap_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/transports/coap"
)

// record is a log that may be read while it is written.
type record struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *record) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(b)
}

// panics are the lines that tell of one.
func (r *record) panics() (lines []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for line := range strings.Lines(r.text.String()) {
		if strings.Contains(line, "panic") {
			lines = append(lines, line)
		}
	}
	return lines
}

func TestAPanicCostsOneDatagram(t *testing.T) {
	internal := func(p *peer) { require.Equal(p.t, codes.InternalServerError, p.answer().Code) }
	tests := []struct {
		name    string
		request func(t *testing.T, mid int32) []byte
		after   func(*peer)
	}{
		{"in the store", func(t *testing.T, mid int32) []byte { return post(t, con, mid, "ab", `{"secret":1}`) }, internal},
		{"in the store, by NON", func(t *testing.T, mid int32) []byte { return post(t, non, mid, "ab", `{"secret":1}`) }, internal},
		{"in a question", func(t *testing.T, mid int32) []byte { return get(t, mid) }, internal},
		{"before it is anybody's", func(t *testing.T, mid int32) []byte {
			return encode(t, message.Message{
				Type: con, Code: codes.POST, MessageID: mid, Payload: []byte(`{}`),
				Options: path([]string{"api", "v1", "boom", "telemetry"}),
			})
		}, (*peer).silent},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			log := &record{}
			w := newWorld(t, func(w *world, c *coap.Config) {
				c.Log = slog.New(slog.NewTextHandler(log, nil))
				w.store.panics = `{"secret":1}`
				w.ask = func(context.Context, string, []byte) ([]byte, error) { panic("secret") }
			}).serve()
			p := w.peer()
			for mid := range int32(3) {
				p.send(tt.request(t, mid))
				tt.after(p)
			}
			p.send(post(t, con, 100, "ab", `{"n":1}`))
			require.Equal(t, codes.Created, p.answer().Code, "the next is served")
			s := w.srv.Stats()
			require.EqualValues(t, 3, s.Panics)
			require.Zero(t, s.Pending, "nothing is left of it")
			require.Len(t, log.panics(), 1, "at most once a minute")

			w.clock.advance(time.Minute)
			p.send(tt.request(t, 50))
			tt.after(p)
			w.eventually(func(s coap.Stats) bool { return s.Panics == 4 })
			require.Eventually(t, func() bool { return len(log.panics()) == 2 }, 5*time.Second, time.Millisecond)
			for _, line := range log.panics() {
				require.NotContains(t, line, "secret")
				require.NotContains(t, line, "boom")
				require.Contains(t, line, "coap_test.", "it says where")
			}
		})
	}
}

func TestARepeatOfWhatPanicked(t *testing.T) {
	w := newWorld(t, func(w *world, _ *coap.Config) { w.store.panics = `{"secret":1}` }).serve()
	p := w.peer()
	for range 3 {
		p.send(post(t, con, 1, "ab", `{"secret":1}`))
		require.Equal(t, codes.InternalServerError, p.answer().Code)
	}
	require.EqualValues(t, 1, w.srv.Stats().Panics)
}

func TestAPanicWithinABatch(t *testing.T) {
	handle, at, srv := bare(t)
	from := at.LocalAddr().(*net.UDPAddr).AddrPort()
	boom := encode(t, message.Message{Type: con, Code: codes.POST, MessageID: 1, Options: path([]string{"api", "v1", "boom", "telemetry"})})
	handle(t.Context(), from, boom, post(t, con, 2, "", `{}`))
	buf := make([]byte, 64)
	require.NoError(t, at.SetReadDeadline(time.Now().Add(5*time.Second)))
	n, err := at.Read(buf)
	require.NoError(t, err)
	m := decode(t, buf[:n])
	require.Equal(t, []any{codes.Created, int32(2)}, []any{m.Code, m.MessageID})
	require.EqualValues(t, 1, srv.Stats().Panics)
}
