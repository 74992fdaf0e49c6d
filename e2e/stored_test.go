package e2e_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

const (
	clients  = 50
	messages = 20_000 // by each protocol
)

// payload is a device's n-th reading, like no other.
func payload(device string, n int) string {
	return fmt.Sprintf(`{"device":%q,"n":%d,"text":"é %s"}`, device, n, strings.Repeat("x", n%64))
}

// ledger is what each device was told is stored: the numbers of its readings,
// in the order of their acknowledgements.
type ledger struct {
	mu    sync.Mutex // guards acked
	acked map[string][]int
	count atomic.Int64
}

func newLedger() *ledger { return &ledger{acked: map[string][]int{}} }

func (l *ledger) add(device string, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked[device] = append(l.acked[device], n)
	l.count.Add(1)
}

// load sends each device's readings one after another from clients at once and
// enters what is acknowledged. A client stops at its first error where
// givingUp is set, else goes on with the next reading.
func (l *ledger) load(ctx context.Context, t *testing.T, g *gateway, protocol string, givingUp bool) {
	t.Helper()
	var all sync.WaitGroup
	for i := range clients {
		device := fmt.Sprintf("%s-%02d", protocol, i)
		all.Go(func() { l.feed(ctx, g, protocol, device, givingUp) })
	}
	all.Wait()
}

func (l *ledger) feed(ctx context.Context, g *gateway, protocol, device string, givingUp bool) {
	s := connected(ctx, g, protocol, device)
	for n := 0; n < messages/clients && ctx.Err() == nil && s != nil; n++ {
		err := s.send(ctx, payload(device, n))
		switch {
		case err == nil:
			l.add(device, n)
		case givingUp:
			n = messages
		case protocol == "mqtt": // a refusal ended the session
			s.close()
			s = connected(ctx, g, protocol, device)
		}
	}
	if s != nil {
		s.close()
	}
}

// connected is a sender as soon as one can be had; nil when ctx ends before.
func connected(ctx context.Context, g *gateway, protocol, device string) sender {
	for ctx.Err() == nil {
		for _, p := range protocols {
			if p.name != protocol {
				continue
			}
			if s, err := p.dial(g, device); err == nil {
				return s
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}

// readings are the numbers of each device's stored readings, in order. It fails
// on any that is not byte for byte what the device sent.
func readings(t *testing.T, all []jetstream.Msg) map[string][]int {
	t.Helper()
	byDevice := map[string][]int{}
	for _, m := range all {
		device := m.Headers().Get("Weir-Device")
		require.Equal(t, "weir.up.default."+device+".telemetry", m.Subject())
		var n int
		_, err := fmt.Sscanf(string(m.Data()), `{"device":"`+device+`","n":%d,`, &n)
		require.NoError(t, err, "%s", m.Data())
		require.Equal(t, payload(device, n), string(m.Data()))
		byDevice[device] = append(byDevice[device], n)
	}
	return byDevice
}

// holdsAll fails unless every acknowledged reading is stored.
func (l *ledger) holdsAll(t *testing.T, stored map[string][]int) {
	t.Helper()
	for device, acked := range l.acked {
		have := map[int]bool{}
		for _, n := range stored[device] {
			have[n] = true
		}
		for _, n := range acked {
			require.True(t, have[n], "%s was told that reading %d is stored, and it is not", device, n)
		}
	}
}

// TestAcknowledgedIsStored: 20,000 readings by each protocol from 50 clients at
// once arrive byte for byte, in order per device, and none twice.
func TestAcknowledgedIsStored(t *testing.T) {
	for _, p := range protocols {
		t.Run(p.name, func(t *testing.T) {
			g := start(t, "")
			l := newLedger()
			l.load(t.Context(), t, g, p.name, true)
			require.EqualValues(t, messages, l.count.Load(), "acknowledged")
			byDevice := readings(t, stored(t, g.connect(t), "WEIR_UP"))
			require.Len(t, byDevice, clients)
			for device, numbers := range byDevice {
				require.Equal(t, l.acked[device], numbers, device)
			}
		})
	}
}

// TestAKilledGatewayLosesNothingAcknowledged: kill -9 in the middle of the load.
func TestAKilledGatewayLosesNothingAcknowledged(t *testing.T) {
	for _, p := range protocols {
		t.Run(p.name, func(t *testing.T) {
			g := start(t, "")
			l := newLedger()
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { defer close(done); l.load(ctx, t, g, p.name, true) }()
			require.Eventually(t, func() bool { return l.count.Load() > messages/10 }, time.Minute, time.Millisecond)
			g.kill()
			cancel()
			<-done
			require.Less(t, l.count.Load(), int64(messages), "killed in the middle")

			g = g.restart(t)
			byDevice := readings(t, stored(t, g.connect(t), "WEIR_UP"))
			l.holdsAll(t, byDevice)
			for device, numbers := range byDevice {
				for i, n := range numbers {
					require.Equal(t, i, n, "%s: in order, none twice", device)
				}
			}
		})
	}
}

// external is a nats-server of our own on a fixed port and folder.
type external struct {
	opts   server.Options
	server *server.Server
}

func startExternal(t *testing.T) *external {
	t.Helper()
	e := &external{opts: server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(),
		SyncAlways: true, NoSigs: true, NoLog: true,
	}}
	e.start(t)
	t.Cleanup(e.stop)
	return e
}

func (e *external) start(t *testing.T) {
	t.Helper()
	opts := e.opts
	s, err := server.NewServer(&opts)
	require.NoError(t, err)
	s.Start()
	require.True(t, s.ReadyForConnections(patience))
	e.server = s
	e.opts.Port = opts.Port
}

func (e *external) stop() {
	e.server.Shutdown()
	e.server.WaitForShutdown()
}

// TestNATSStopsForTenSeconds: no false acknowledgement meanwhile, and messages
// flow again within 2 s of its return.
func TestNATSStopsForTenSeconds(t *testing.T) {
	for _, p := range protocols {
		t.Run(p.name, func(t *testing.T) {
			nats := startExternal(t)
			g := start(t, "", "WEIR_NATS__URL="+nats.server.ClientURL())
			l := newLedger()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan struct{})
			go func() { defer close(done); l.load(ctx, t, g, p.name, false) }()
			require.Eventually(t, func() bool { return l.count.Load() > messages/20 }, time.Minute, time.Millisecond)

			nats.stop()
			<-time.After(10 * time.Second)
			before := l.count.Load()
			nats.start(t)
			back := time.Now()
			require.Eventually(t, func() bool { return l.count.Load() > before }, patience, time.Millisecond)
			require.Less(t, time.Since(back), 2*time.Second, "recovery")
			cancel()
			<-done

			g.NATS = nats.server.ClientURL()
			l.holdsAll(t, readings(t, stored(t, g.connect(t), "WEIR_UP")))
		})
	}
}

// TestTheDiskFills: a data directory of few megabytes fills, devices are told so,
// and what was acknowledged is there.
func TestTheDiskFills(t *testing.T) {
	for _, p := range protocols {
		t.Run(p.name, func(t *testing.T) {
			dir := tmpfs(t, "1m")
			g := startIn(t, t.TempDir(), ports+"\n", "WEIR_NATS__EMBEDDED__DIR="+dir+"/data")
			l := newLedger()
			ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
			defer cancel()
			refused := make(chan struct{})
			go func() { defer close(refused); l.load(ctx, t, g, p.name, true) }()
			<-refused
			require.Less(t, l.count.Load(), int64(messages), "it filled")
			require.NotZero(t, l.count.Load())
			select {
			case <-g.exited:
				t.Fatal("the gateway ended")
			default:
			}
			l.holdsAll(t, readings(t, stored(t, g.connect(t), "WEIR_UP")))
		})
	}
}

// tmpfs is a file system in memory of a size; mounting one needs root.
func tmpfs(t *testing.T, size string) string {
	t.Helper()
	if os.Getuid() != 0 {
		missing(t, "right to mount (root)")
	}
	mount := tool(t, "mount", "mount")
	dir := t.TempDir()
	if out, code := run(t, mount, "-t", "tmpfs", "-o", "size="+size, "tmpfs", dir); code != 0 {
		missing(t, "right to mount a tmpfs: "+out)
	}
	t.Cleanup(func() { umount(t, dir) })
	return dir
}

func umount(t *testing.T, dir string) {
	t.Helper()
	if out, err := execOutput("umount", "-l", dir); err != nil {
		t.Errorf("umount: %v: %s", err, out)
	}
}
