package mqtt_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/devices"
)

func TestAsk(t *testing.T) {
	each(t, func(t *testing.T, v byte) {
		r := newRig(t)
		r.caller = func(_ context.Context, d *devices.Device, name string, q []byte) ([]byte, error) {
			return []byte(d.Name + " " + name + " " + string(q)), nil
		}
		c, other := r.join(v, "tok1", "c"), r.join(v, "tok2", "c")
		for _, s := range []*client{c, other} {
			s.send(subscribe(v, 1, attributes+"/response/+"))
			s.want(0x90)
		}
		c.send(publish(v, 1, 5, attributes+"/request/42", `{"clientKeys":"a,b","sharedKeys":"c"}`))
		answer, acked := "", false
		for range 2 {
			p, err := c.read()
			require.NoError(t, err)
			if p.head == 0x40 {
				acked = true
			} else {
				require.Equal(t, byte(0x30), p.head)
				answer = string(p.body)
			}
		}
		require.True(t, acked)
		require.Equal(t, string(text(attributes+"/response/42"))+string(props(v))+
			`dev1 attributes {"clientKeys":"a,b","sharedKeys":"c"}`, answer)
		other.ping()
		require.Empty(t, r.store.stored())
	})
}

func TestAsk_withoutAnswer(t *testing.T) {
	r := newRig(t)
	r.caller = func(context.Context, *devices.Device, string, []byte) ([]byte, error) {
		return nil, errors.New("nobody")
	}
	c := r.join(5, "tok1", "c")
	c.send(publish(5, 1, 1, attributes+"/request/1", `{}`))
	c.wantAck(0x40, 1, 0)
	eventually(t, "dropped", func() bool { return r.srv.Stats().Dropped == 1 })
	c.send(publish(5, 1, 2, attributes+"/request/1", `nope`))
	require.Contains(t, c.wantAck(0x40, 2, 0x83), "expected a JSON object")
}

func TestAsk_isBoundedPerConnection(t *testing.T) {
	r := newRig(t)
	free := make(chan struct{})
	r.caller = func(ctx context.Context, _ *devices.Device, _ string, _ []byte) ([]byte, error) {
		select {
		case <-free:
		case <-ctx.Done():
		}
		return []byte(`{}`), nil
	}
	c := r.join(4, "tok1", "c")
	c.send(subscribe(4, 1, attributes+"/response/+"))
	c.want(0x90)
	for i := range 6 {
		c.send(publish(4, 1, uint16(i+1), attributes+"/request/"+strconv.Itoa(i), `{}`))
		c.wantAck(0x40, uint16(i+1), 0)
	}
	require.Equal(t, uint64(2), r.srv.Stats().Dropped)
	close(free)
	for range 4 {
		c.want(0x30)
	}
	c.ping()
}

// Over 3.1.1 the sender cannot be told, so the question is kept.
func TestAsk_badQuestionIsBuried(t *testing.T) {
	tests := map[string]string{
		`nope`: "expected a JSON object with clientKeys or sharedKeys",
		`[1]`:  "expected a JSON object with clientKeys or sharedKeys",
		``:     "expected a JSON object with clientKeys or sharedKeys",
		`{"clientKeys":"` + strings.Repeat("k", 4096) + `"}`: "the request is longer than 4096 bytes",
	}
	for question, reason := range tests {
		r := newRig(t)
		r.store.set(true, nil)
		c := r.join(4, "tok1", "c")
		c.send(publish(4, 1, 1, attributes+"/request/1", question))
		c.ping() // which overtakes the acknowledgement of what is not stored
		dead := r.store.stored()
		require.Len(t, dead, 1)
		require.Equal(t, "dev1", dead[0].device)
		require.Equal(t, question, dead[0].payload)
		require.Equal(t, reason, dead[0].reason)
		dead[0].done(nil)
		r.srv.Flush()
		c.wantAck(0x40, 1, 0)
	}
}

// silent is a service that listens and answers device quick alone, until free
// is closed. asked counts the questions it holds.
func silent(r *rig, quick string, free <-chan struct{}) *atomic.Int32 {
	var asked atomic.Int32
	r.caller = func(ctx context.Context, d *devices.Device, _ string, _ []byte) ([]byte, error) {
		if d.Name == quick {
			return []byte(`{"quick":1}`), nil
		}
		asked.Add(1)
		select {
		case <-free:
			return []byte(`{"late":1}`), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return &asked
}

func TestAsk_aSilentServiceBlocksNoOtherDevice(t *testing.T) {
	r := newRig(t)
	free := make(chan struct{})
	defer close(free)
	asked := silent(r, "dev2", free)
	for i := range 100 { // one device on many connections has no more than on one
		c := r.join(4, "tok1", "c"+strconv.Itoa(i))
		for range 4 {
			c.send(publish(4, 1, 1, attributes+"/request/1", `{}`))
			c.wantAck(0x40, 1, 0)
		}
	}
	eventually(t, "all but its share are dropped", func() bool {
		return r.srv.Stats().Dropped == 396 && asked.Load() == 4
	})
	other := r.join(4, "tok2", "o")
	other.send(subscribe(4, 1, attributes+"/response/+"))
	other.want(0x90)
	other.send(publish(4, 0, 0, attributes+"/request/7", `{}`))
	require.Contains(t, string(other.want(0x30).body), `{"quick":1}`)
	require.Equal(t, uint64(396), r.srv.Stats().Dropped)
}

func TestAsk_endsWithItsConnection(t *testing.T) {
	r := newRig(t)
	asked := silent(r, "", nil)
	c := r.join(4, "tok1", "c")
	for i := range 4 {
		c.send(publish(4, 1, uint16(i+1), attributes+"/request/1", `{}`))
		c.wantAck(0x40, uint16(i+1), 0)
	}
	eventually(t, "asked", func() bool { return asked.Load() == 4 })
	require.NoError(t, c.Close())
	eventually(t, "dropped", func() bool { return r.srv.Stats().Dropped == 4 })
	r.join(4, "tok1", "c").send(publish(4, 0, 0, attributes+"/request/1", `{}`))
	eventually(t, "its places are free", func() bool { return asked.Load() == 5 })
}

func TestShutdown_answersQuestionsFirst(t *testing.T) {
	each(t, func(t *testing.T, v byte) {
		r := newRig(t)
		free := make(chan struct{})
		asked := silent(r, "", free)
		c, idle := r.join(v, "tok1", "c"), r.join(v, "tok2", "c")
		c.send(subscribe(v, 1, attributes+"/response/+"), publish(v, 0, 0, attributes+"/request/1", `{}`))
		c.want(0x90)
		eventually(t, "asked", func() bool { return asked.Load() == 1 })
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		down := make(chan error, 1)
		go func() { down <- r.srv.Shutdown(ctx) }()
		idle.wantBye(0x8B)
		close(free)
		require.Contains(t, string(c.want(0x30).body), `{"late":1}`)
		c.wantBye(0x8B)
		require.NoError(t, <-down)
		require.Zero(t, r.srv.Stats().Dropped)
	})
}

func TestShutdown_dropsQuestionsInTheEnd(t *testing.T) {
	each(t, func(t *testing.T, v byte) {
		r := newRig(t)
		asked := silent(r, "", nil)
		c := r.join(v, "tok1", "c")
		c.send(publish(v, 0, 0, attributes+"/request/1", `{}`))
		eventually(t, "asked", func() bool { return asked.Load() == 1 })
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		require.ErrorIs(t, r.srv.Shutdown(ctx), context.DeadlineExceeded)
		c.wantBye(0x8B)
		require.Equal(t, uint64(1), r.srv.Stats().Dropped)
	})
}
