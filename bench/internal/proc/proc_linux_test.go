package proc_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirgate/weir/bench/internal/proc"
)

// The test binary is the program that pins, and the server that is pinned.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == proc.PinVerb {
		fmt.Fprintln(os.Stderr, proc.Pin(os.Args[2:]))
		os.Exit(1)
	}
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		serve()
		return
	}
	os.Exit(m.Run())
}

// serve announces itself, and spins until it is ended.
func serve() {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil || set.Count() != 1 {
		fmt.Fprintln(os.Stderr, "not pinned:", set.Count(), err)
		os.Exit(1)
	}
	fmt.Fprintln(os.Stderr, "a word first")
	fmt.Fprintln(os.Stderr, "  http     http://127.0.0.1:12345")
	fmt.Fprintln(os.Stderr, "  mqtt     mqtt://127.0.0.1:12346")
	for spins := 0; ; spins++ { // its processor time is what the test reads
		_ = spins
	}
}

func start(t *testing.T, c proc.Command) (*proc.Server, error) {
	t.Helper()
	core, _, err := proc.Cores()
	if err != nil {
		t.Skip(err)
	}
	return proc.Start(core, c)
}

func TestServer(t *testing.T) {
	s, err := start(t, proc.Command{Args: []string{os.Args[0], "serve"}, Announces: []string{"mqtt", "http"}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	if got := s.Addr("mqtt").String(); got != "127.0.0.1:12346" {
		t.Errorf("mqtt is announced at %s", got)
	}
	if s.Addr("nats").IsValid() {
		t.Error("an address that nobody announced")
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		used, err := s.CPU()
		if err != nil {
			t.Fatal(err)
		}
		if used > 10*time.Millisecond {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("a server that spins has used %v", used)
		}
	}
}

func TestServerThatEnds(t *testing.T) {
	_, err := start(t, proc.Command{Args: []string{"sh", "-c", "echo no licence >&2; exit 3"}, Announces: []string{"http"}})
	if err == nil || !strings.Contains(err.Error(), "it ended") || !strings.Contains(err.Error(), "no licence") {
		t.Fatalf("its end and its last words are not told: %v", err)
	}
}

func TestCommandThatIsNotInstalled(t *testing.T) {
	_, err := start(t, proc.Command{Args: []string{"no-such-server"}, Announces: []string{"http"}})
	if err == nil || !strings.Contains(err.Error(), "no-such-server") {
		t.Fatalf("it is not named: %v", err)
	}
}

func TestReady(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	closed, err := proc.FreePort("tcp")
	if err != nil {
		t.Fatal(err)
	}
	if proc.Accepts(closed)(ctx) == nil {
		t.Error("a closed port is ready")
	}
	ln, err := net.Listen("tcp", closed.String())
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if err := proc.Accepts(closed)(t.Context()); err != nil {
		t.Error(err)
	}
}
