package coap_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/transports/coap"
)

// get is a GET of attributes.
func get(t *testing.T, mid int32, more ...message.Option) []byte {
	return encode(t, message.Message{
		Type: con, Code: codes.GET, MessageID: mid, Token: []byte("q"),
		Options: path([]string{"api", "v1", "tok", "attributes"}, more...),
	})
}

func TestQuestions(t *testing.T) {
	tests := []struct {
		name  string
		query []message.Option
		want  string
	}{
		{"none", nil, `{}`},
		{"client keys", []message.Option{opt(15, "clientKeys=a,b")}, `{"clientKeys":"a,b"}`},
		{"both", []message.Option{opt(15, "clientKeys=a,b"), opt(15, "sharedKeys=c")}, `{"clientKeys":"a,b","sharedKeys":"c"}`},
		{"others are passed over", []message.Option{opt(15, "x"), opt(15, "sharedKeys=c=d"), opt(15, "y=1"), opt(15, "z")}, `{"sharedKeys":"c=d"}`},
		{"quotes", []message.Option{opt(15, `clientKeys="`)}, `{"clientKeys":"\""}`},
	}
	asked := make(chan string, 1)
	w := newWorld(t, func(w *world, _ *coap.Config) {
		w.ask = func(_ context.Context, name string, q []byte) ([]byte, error) {
			asked <- name + " " + string(q)
			return []byte(`{"client":{"a":1}}`), nil
		}
	}).serve()
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := w.peer()
			p.send(get(t, int32(i), tt.query...))
			m := p.answer()
			require.Equal(t, []any{ack, codes.Content, `{"client":{"a":1}}`}, []any{m.Type, m.Code, string(m.Payload)})
			format, err := m.Options.ContentFormat()
			require.NoError(t, err)
			require.Equal(t, message.AppJSON, format)
			require.Equal(t, "attributes "+tt.want, <-asked)
		})
	}
}

func TestAQuestionNobodyAnswers(t *testing.T) {
	w := newWorld(t, func(w *world, _ *coap.Config) {
		w.ask = func(context.Context, string, []byte) ([]byte, error) { return nil, errors.New("nobody") }
	}).serve()
	p := w.peer()
	p.send(get(t, 1))
	require.Equal(t, codes.ServiceUnavailable, p.answer().Code)
}

func TestALongAnswerGoesInBlocks(t *testing.T) {
	long := `{"a":"` + strings.Repeat("0123456789", 250) + `"}`
	w := newWorld(t, func(w *world, _ *coap.Config) {
		w.ask = func(context.Context, string, []byte) ([]byte, error) { return []byte(long), nil }
	}).serve()
	for _, size := range []string{"\x06", "\x02", "\x00"} {
		p := w.peer()
		p.send(get(t, 0))
		first := p.answer()
		tag, err := first.Options.GetBytes(message.ETag)
		require.NoError(t, err)
		got := ""
		for num := uint32(0); ; num++ {
			value := make([]byte, 3)
			n, err := message.EncodeUint32(value, num<<4|uint32(size[0]))
			require.NoError(t, err)
			p.send(get(t, int32(num)+1, message.Option{ID: message.Block2, Value: value[:n]}))
			m := p.answer()
			require.Equal(t, codes.Content, m.Code, "%d: %s", num, m.Payload)
			same, err := m.Options.GetBytes(message.ETag)
			require.NoError(t, err)
			require.Equal(t, tag, same)
			block, err := m.Options.GetUint32(message.Block2)
			require.NoError(t, err)
			require.Equal(t, num, block>>4)
			got += string(m.Payload)
			if block&8 == 0 {
				break
			}
		}
		require.Equal(t, long, got)
		require.Equal(t, long[:1024], string(first.Payload))
	}
}

func TestQuestionsAreBounded(t *testing.T) {
	hold := make(chan struct{})
	w := newWorld(t, func(w *world, _ *coap.Config) {
		w.ask = func(context.Context, string, []byte) ([]byte, error) { <-hold; return []byte(`{}`), nil }
	}).serve()
	t.Cleanup(func() { close(hold) })
	p := w.peer()
	for mid := range int32(coap.MaxQuestions) {
		p.send(get(t, mid))
	}
	w.eventually(func(s coap.Stats) bool { return s.Pending == coap.MaxQuestions })
	p.send(get(t, 5000))
	m := p.answer()
	require.Equal(t, []any{codes.ServiceUnavailable, int32(5000)}, []any{m.Code, m.MessageID})
	p.send(get(t, 3))
	w.eventually(func(s coap.Stats) bool { return s.Repeats == 1 })
}
