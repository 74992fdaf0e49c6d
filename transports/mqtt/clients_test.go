package mqtt_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/eclipse/paho.golang/paho"
	paho3 "github.com/eclipse/paho.mqtt.golang"
	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/quota"
	"github.com/weirgate/weir/transports/mqtt"
)

func TestPaho3(t *testing.T) {
	r := newRig(t)
	c := paho3.NewClient(paho3.NewClientOptions().AddBroker("tcp://"+r.srv.Addr().String()).
		SetClientID("p3").SetUsername("tok1").SetProtocolVersion(4).SetAutoReconnect(false).SetWill("w", "gone", 1, true))
	require.NoError(t, wait(c.Connect()))
	defer c.Disconnect(10)
	for qos := range byte(3) {
		require.NoError(t, wait(c.Publish(telemetry, qos, false, `{"a":1}`)))
	}
	answers := make(chan string, 1)
	require.NoError(t, wait(c.Subscribe(attributes+"/response/+", 1, func(_ paho3.Client, m paho3.Message) {
		answers <- m.Topic() + " " + string(m.Payload())
	})))
	require.NoError(t, wait(c.Publish(attributes+"/request/1", 1, false, `{"clientKeys":"a"}`)))
	require.Equal(t, attributes+`/response/1 {"client":{"a":1}}`, <-answers)
	eventually(t, "stored", func() bool { return len(r.store.stored()) == 3 })
}

func TestPaho3_badToken(t *testing.T) {
	r := newRig(t)
	c := paho3.NewClient(paho3.NewClientOptions().AddBroker("tcp://" + r.srv.Addr().String()).
		SetClientID("p3").SetUsername("who").SetProtocolVersion(4).SetConnectRetry(false))
	require.ErrorContains(t, wait(c.Connect()), "not Authorized")
}

func wait(tok paho3.Token) error {
	tok.WaitTimeout(patience)
	return tok.Error()
}

func TestPaho5(t *testing.T) {
	r := newRig(t)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := net.Dial("tcp", r.srv.Addr().String())
	require.NoError(t, err)
	bye := make(chan *paho.Disconnect, 1)
	c := paho.NewClient(paho.ClientConfig{Conn: conn, OnServerDisconnect: func(d *paho.Disconnect) { bye <- d }})
	ca, err := c.Connect(ctx, &paho.Connect{ClientID: "", Username: "tok1", UsernameFlag: true, KeepAlive: 30, CleanStart: true})
	require.NoError(t, err)
	require.NotEmpty(t, ca.Properties.AssignedClientID)
	require.False(t, ca.Properties.RetainAvailable)
	require.Equal(t, uint16(1024), *ca.Properties.ReceiveMaximum)
	for qos := range byte(3) {
		pr, err := c.Publish(ctx, &paho.Publish{Topic: telemetry, QoS: qos, Payload: []byte(`{"a":1}`)})
		require.NoError(t, err)
		if qos > 0 {
			require.Equal(t, byte(0), pr.ReasonCode)
		}
	}
	pr, err := c.Publish(ctx, &paho.Publish{Topic: telemetry, QoS: 1, Payload: []byte(`nope`)})
	require.Error(t, err)
	require.Equal(t, byte(0x83), pr.ReasonCode)
	require.Equal(t, "the payload is not JSON", pr.Properties.ReasonString)
	sa, err := c.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: "#"}}})
	require.Error(t, err)
	require.Equal(t, []byte{0x87}, sa.Reasons)

	r.quota.leave(0, quota.ThingsBoard)
	_, _ = c.Publish(ctx, &paho.Publish{Topic: telemetry, Payload: []byte(`{}`)})
	d := <-bye
	require.Equal(t, byte(0x97), d.ReasonCode)
	require.Equal(t, "quota exceeded: policy host, used 10 of 10, retry after 5 s", d.Properties.ReasonString)
	require.Equal(t, "5", d.Properties.User.Get("retry-after"))
	<-c.Done()
}

// tool is a program of that name, without which the test is skipped, or fails
// where all are demanded.
func tool(t *testing.T, name string) string {
	path, err := exec.LookPath(name)
	if err != nil && os.Getenv("WEIR_E2E") == "all" {
		t.Fatalf("%s is not installed", name)
	}
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return path
}

func TestMosquittoPub(t *testing.T) {
	pub := tool(t, "mosquitto_pub")
	for _, version := range []string{"311", "5"} {
		for _, qos := range []string{"0", "1", "2"} {
			t.Run(version+" QoS "+qos, func(t *testing.T) {
				r := newRig(t)
				_, port, err := net.SplitHostPort(r.srv.Addr().String())
				require.NoError(t, err)
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				out, err := exec.CommandContext(ctx, pub, "-h", "127.0.0.1", "-p", port, "-V", version, "-q", qos,
					"-u", "tok1", "-t", telemetry, "-m", `{"a":1}`).CombinedOutput()
				require.NoError(t, err, string(out))
				eventually(t, "stored", func() bool { return len(r.store.stored()) == 1 })
			})
		}
	}
}

// opaque hides a socket behind a plain net.Conn, as TLS would be.
type opaque struct{ net.Conn }

type opaqueListener struct{ net.Listener }

func (l opaqueListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return opaque{c}, nil
}

func TestPlainConnection(t *testing.T) {
	each(t, func(t *testing.T, v byte) {
		r := newRig(t, func(cfg *mqtt.Config) { cfg.Listener = opaqueListener{cfg.Listener} })
		r.store.set(true, nil)
		c := r.join(v, "tok1", "c")
		for i := range 100 {
			c.send(publish(v, 1, uint16(i+1), telemetry, `{}`))
		}
		c.ping()
		for _, k := range r.store.stored() {
			k.done(nil)
			r.srv.Flush()
		}
		for i := range 100 {
			c.wantAck(0x40, uint16(i+1), 0)
		}
		r.quota.leave(0, quota.ThingsBoard)
		c.send([]byte{0xC0, 0})
		c.wantBye(0x97)
	})
}

func TestManyClients_storeIsAcknowledgedExactly(t *testing.T) {
	r := newRig(t)
	var wg sync.WaitGroup
	const clients, each = 20, 200
	for i := range clients {
		c := r.join(4+byte(i&1), "tok1", string(rune('a'+i)))
		wg.Go(func() {
			for n := range each {
				c.send(publish(c.v, 1+byte(n&1), uint16(n+1), telemetry, `{}`))
			}
			for n := range each {
				c.wantAck(0x40+0x10*byte(n&1), uint16(n+1), 0)
			}
			for n := 1; n < each; n += 2 {
				c.send(pubrel(uint16(n + 1)))
				c.wantAck(0x70, uint16(n+1), 0)
			}
		})
	}
	wg.Wait()
	require.Equal(t, clients*each, len(r.store.stored()))
}

// rude panics in a session's own goroutine, as a decoder might.
type rude struct{ presence }

func (p *rude) Connected(s mqtt.Session) {
	if s.ClientID == "boom" {
		panic("boom")
	}
}

func TestPanic_costsItsConnectionAlone(t *testing.T) {
	r := newRig(t, func(cfg *mqtt.Config) { cfg.Presence = &rude{} })
	c := r.join(5, "tok1", "c")
	for range 3 {
		victim := r.dial(5)
		victim.send(connect(5, hello{user: "tok1", id: "boom", props: []byte{0x11, 0, 0, 1, 0}}))
		require.Equal(t, byte(0), victim.connack().present)
		victim.wantEnd()
	}
	c.ping()
	eventually(t, "left", func() bool { return r.srv.Stats().Connections == 1 })
	require.Equal(t, uint64(3), r.srv.Stats().Panics)
	require.Zero(t, r.srv.Stats().Sessions)
	require.Equal(t, 1, countLines(r.log.String()), "said once a minute")
}

func countLines(s string) int {
	n := 0
	for _, c := range s {
		if c == '\n' {
			n++
		}
	}
	return n
}
