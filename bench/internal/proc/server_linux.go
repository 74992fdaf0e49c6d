package proc

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// startTimeout bounds how long a server may take to be ready, stopTimeout how
// long to end.
const (
	startTimeout = 20 * time.Second
	stopTimeout  = 15 * time.Second
)

// Command is a server to start.
type Command struct {
	Args []string
	// Ready waits until a server that does not announce itself answers; nil for
	// one that prints the block that Weir prints, with the names of Announces.
	Ready     func(context.Context) error
	Announces []string
}

// String is the command line.
func (c Command) String() string { return strings.Join(c.Args, " ") }

// Server is a running server, pinned to a core.
type Server struct {
	command *exec.Cmd
	ended   chan struct{} // closed when the process is gone
	log     tail
	addrs   map[string]netip.AddrPort
}

// Start starts c on a core and waits until it is ready. Stop it.
func Start(core int, c Command) (*Server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &Server{ended: make(chan struct{}), addrs: map[string]netip.AddrPort{}}
	s.command = exec.Command(self, append([]string{PinVerb, strconv.Itoa(core)}, c.Args...)...)
	// Should this process die, so does the server.
	s.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	pipe, err := s.command.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := s.command.Start(); err != nil {
		return nil, err
	}
	announced := make(chan struct{})
	go s.follow(pipe, c.Announces, announced)
	if err := s.await(c, announced); err != nil {
		s.Stop()
		return nil, fmt.Errorf("%s: %w\n%s", c, err, s.log.String())
	}
	return s, nil
}

func (s *Server) await(c Command, announced <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if c.Ready != nil {
		return c.Ready(ctx)
	}
	select {
	case <-announced:
		return nil
	case <-s.ended:
		return errors.New("it ended")
	case <-ctx.Done():
		return errors.New("it did not say that it is ready")
	}
}

// follow reads the server's words until it ends; announced is closed once every
// name has its address.
func (s *Server) follow(pipe io.Reader, names []string, announced chan<- struct{}) {
	defer close(s.ended)
	missing := len(names)
	for lines := bufio.NewScanner(pipe); lines.Scan(); {
		s.log.add(lines.Text())
		if missing <= 0 {
			continue
		}
		name, addr, ok := announcement(lines.Text(), names)
		if !ok {
			continue
		}
		s.addrs[name] = addr
		if missing--; missing == 0 {
			close(announced)
		}
	}
	_ = s.command.Wait() // how it ended is nobody's question: it is killed in the end
}

// announcement reads a line as "  http     http://127.0.0.1:8080".
func announcement(line string, names []string) (name string, addr netip.AddrPort, ok bool) {
	fields := strings.Fields(line)
	if len(fields) != 2 {
		return "", addr, false
	}
	for _, name := range names {
		_, host, found := strings.Cut(fields[1], "://")
		if fields[0] != name || !found {
			continue
		}
		addr, err := netip.ParseAddrPort(host)
		return name, addr, err == nil
	}
	return "", addr, false
}

// Addr is the address that the server announced under a name.
func (s *Server) Addr(name string) netip.AddrPort { return s.addrs[name] }

// CPU is the processor time that the server has used.
func (s *Server) CPU() (time.Duration, error) { return cpuTime(s.command.Process.Pid) }

// Stop ends the server and waits for it.
func (s *Server) Stop() {
	_ = s.command.Process.Signal(syscall.SIGTERM) // it may be gone already
	select {
	case <-s.ended:
	case <-time.After(stopTimeout):
		_ = s.command.Process.Kill()
		<-s.ended
	}
}

// Log is the last the server said, for an error.
func (s *Server) Log() string { return s.log.String() }

// tail keeps the last lines.
type tail struct {
	mu    sync.Mutex // guards lines
	lines []string
}

const tailLines = 20

func (t *tail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) == tailLines {
		t.lines = append(t.lines[:0], t.lines[1:]...)
	}
	t.lines = append(t.lines, line)
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines, "\n")
}
