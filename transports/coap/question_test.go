package coap_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/transports/coap"
)

// get is a GET of attributes.
func get(t *testing.T, mid int32, more ...message.Option) []byte {
	return getAs(t, "tok", mid, more...)
}

// getAs is a GET of the attributes of the device with that access token.
func getAs(t *testing.T, access string, mid int32, more ...message.Option) []byte {
	return encode(t, message.Message{
		Type: con, Code: codes.GET, MessageID: mid, Token: []byte("q"),
		Options: path([]string{"api", "v1", access, "attributes"}, more...),
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
	for i := range int32(coap.MaxQuestions) {
		p.send(getAs(t, strconv.Itoa(int(i/coap.MaxAsking)), i))
	}
	w.eventually(func(s coap.Stats) bool { return s.Pending == coap.MaxQuestions })
	p.send(get(t, 5000))
	m := p.answer()
	require.Equal(t, []any{codes.ServiceUnavailable, int32(5000)}, []any{m.Code, m.MessageID})
	p.send(getAs(t, "0", 3))
	w.eventually(func(s coap.Stats) bool { return s.Repeats == 1 })
}

// One device, from however many addresses, leaves room for the others.
func TestQuestionsOfADeviceAreBounded(t *testing.T) {
	hold, asked := make(chan struct{}), make(chan struct{}, 2*coap.MaxAsking)
	w := newWorld(t, func(w *world, _ *coap.Config) {
		w.ask = func(context.Context, string, []byte) ([]byte, error) {
			asked <- struct{}{}
			<-hold
			return []byte(`{}`), nil
		}
	}).serve()
	letGo := sync.OnceFunc(func() { close(hold) })
	t.Cleanup(letGo)
	peers := make([]*peer, coap.MaxAsking)
	for i := range peers {
		peers[i] = w.peer()
		peers[i].send(getAs(t, "0", int32(i)))
		<-asked
	}
	late := w.peer()
	late.send(getAs(t, "0", 100))
	require.Equal(t, codes.ServiceUnavailable, late.answer().Code)
	late.send(getAs(t, "1", 101))
	<-asked
	letGo()
	require.Equal(t, codes.Content, late.answer().Code)
	for _, p := range peers {
		require.Equal(t, codes.Content, p.answer().Code)
	}
	w.eventually(func(s coap.Stats) bool { return s.Pending == 0 })
	late.send(getAs(t, "0", 102))
	require.Equal(t, codes.Content, late.answer().Code, "the places are given back")
}

func TestAMessageSaysWhetherItIsPromised(t *testing.T) {
	w := newWorld(t, nil).serve()
	p := w.peer()
	for mid, kind := range []message.Type{con, non} {
		p.send(post(t, kind, int32(mid), "ab", `{}`))
		require.Equal(t, codes.Created, p.answer().Code)
	}
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	require.Equal(t, []bool{false, true}, w.store.loose)
}
