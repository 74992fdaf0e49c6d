package e2e_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// section is a part of README.md, from its heading to the next.
func section(t *testing.T, heading string) string {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(text), "\n## "+heading+"\n")
	require.True(t, found, "README.md has no section %q", heading)
	part, _, _ := strings.Cut(rest, "\n## ")
	return part
}

// blocks are a section's fenced texts of a language.
func blocks(part, language string) []string {
	var out []string
	for i, text := range strings.Split("\n"+part, "\n```") {
		if body, ok := strings.CutPrefix(text, language+"\n"); ok && i%2 == 1 {
			out = append(out, body+"\n")
		}
	}
	return out
}

// commands are the lines of a section's shell blocks that start with prefix.
func commands(part, prefix string) []string {
	var out []string
	for _, b := range blocks(part, "sh") {
		for line := range strings.SplitSeq(b, "\n") {
			if strings.HasPrefix(line, prefix) {
				out = append(out, line)
			}
		}
	}
	return out
}

// here is a command of README.md for the ports of g.
func here(t *testing.T, g *gateway, command string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(g.MQTT)
	require.NoError(t, err)
	return strings.NewReplacer(
		"http://127.0.0.1:8080", g.HTTP,
		"mosquitto_pub ", "mosquitto_pub -h 127.0.0.1 -p "+port+" ",
		"coap://127.0.0.1/", "coap://"+g.CoAP+"/",
	).Replace(command)
}

// shell runs a command of README.md as a reader would.
func shell(t *testing.T, g *gateway, command string) (string, int) {
	t.Helper()
	return run(t, tool(t, "sh", "dash"), "-c", here(t, g, command))
}

func needReadersTools(t *testing.T) {
	t.Helper()
	for name, from := range map[string]string{"curl": "curl", "mosquitto_pub": "mosquitto-clients", "coap-client-notls": "libcoap3-bin"} {
		tool(t, name, from)
	}
}

// watch runs docs/examples/subscribe as README.md does, on the NATS of g, and
// is its lines.
func watch(t *testing.T, g *gateway, subject string) <-chan string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "subscribe")
	out, code := run(t, tool(t, "go", "Go"), "build", "-o", path, "../docs/examples/subscribe")
	require.Zero(t, code, out)
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, path, "-url", g.NATS, subject)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := make(chan string, 100)
	go func() {
		defer close(lines)
		for in := bufio.NewScanner(stdout); in.Scan(); {
			lines <- in.Text()
		}
	}()
	first, err := bufio.NewReader(stderr).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "listening on "+subject+"\n", first)
	t.Cleanup(func() {
		cancel()
		for range lines { // until it has ended
		}
		cmd.Wait()
	})
	return lines
}

func line(t *testing.T, lines <-chan string) string {
	t.Helper()
	select {
	case l, ok := <-lines:
		require.True(t, ok, "the watcher ended")
		return l
	case <-time.After(patience):
		t.Fatal("the watcher prints nothing")
		return ""
	}
}

// TestReadmeSend: the three commands of README.md, and what its watcher prints.
func TestReadmeSend(t *testing.T) {
	t.Parallel()
	needReadersTools(t)
	part := section(t, "Send a reading, by each protocol")
	var sends []string
	for _, prefix := range []string{"curl ", "mosquitto_pub ", "coap-client-notls "} {
		found := commands(part, prefix)
		require.Len(t, found, 1, prefix)
		sends = append(sends, found[0])
	}
	printed := blocks(part, "")
	require.NotEmpty(t, printed)
	want := strings.Split(strings.TrimSpace(printed[len(printed)-1]), "\n")
	require.Len(t, want, len(sends))
	require.NotEmpty(t, commands(part, "go run ./docs/examples/subscribe 'weir.up.>'"))

	g := sample(t)
	lines := watch(t, g, "weir.up.>")
	for i, c := range sends {
		out, code := shell(t, g, c)
		require.Zero(t, code, "%s\n%s", c, out)
		require.Equal(t, want[i], line(t, lines))
	}
	require.Len(t, kept(t, g.connect(t), "WEIR_UP"), len(sends))
}

// sample is a gateway on the repository's weir.yaml, as `go run ./cmd/weir` has
// it, but on any ports.
func sample(t *testing.T, env ...string) *gateway {
	t.Helper()
	yaml, err := os.ReadFile("../weir.yaml")
	require.NoError(t, err)
	for _, l := range []string{"TRANSPORTS__HTTP", "TRANSPORTS__MQTT", "TRANSPORTS__COAP", "CONTROL", "NATS__EMBEDDED"} {
		env = append(env, "WEIR_"+l+"__LISTEN=127.0.0.1:0")
	}
	return startIn(t, t.TempDir(), string(yaml), env...)
}

// TestReadmeLimit: the limit of README.md bites, in the words that it says.
func TestReadmeLimit(t *testing.T) {
	t.Parallel()
	needReadersTools(t)
	part := section(t, "See a limit bite")
	starts := commands(part, "QUOTA_HOST_")
	require.Len(t, starts, 1)
	env, ok := strings.CutSuffix(starts[0], " go run ./cmd/weir")
	require.True(t, ok, starts[0])
	g := sample(t, strings.Fields(env)...)
	events := watch(t, g, "weir.events.>")

	loop := commands(part, "for ")
	require.Len(t, loop, 1)
	out, code := shell(t, g, loop[0])
	require.Zero(t, code)
	require.Equal(t, strings.Repeat("200\n", 5), out)

	out, _ = shell(t, g, commands(part, "curl -i")[0])
	require.Contains(t, out, "HTTP/1.1 509 ")
	require.Contains(t, out, "quota exceeded: policy host, used 5 of 5")
	out, code = shell(t, g, commands(part, "mosquitto_pub ")[0])
	require.NotZero(t, code)
	require.Contains(t, out, "Quota exceeded")
	out, _ = shell(t, g, commands(part, "coap-client-notls ")[0])
	require.Contains(t, out, "4.00")
	require.Contains(t, out, "policy host")

	told := line(t, events)
	require.Contains(t, told, "weir.events.exceeded ")
	require.Contains(t, told, `"host":"127.0.0.1"`)
	select {
	case more := <-events:
		require.NotContains(t, more, "exceeded", "told once")
	case <-time.After(100 * time.Millisecond):
	}
}

// TestReadmeReady: the block that README.md shows is the one that is printed.
func TestReadmeReady(t *testing.T) {
	t.Parallel()
	shown := ""
	for _, b := range blocks(section(t, "Run it"), "") {
		if strings.HasPrefix(b, "weir ready\n") {
			shown = b
		}
	}
	require.NotEmpty(t, shown)
	g := sample(t)
	ports := regexp.MustCompile(`:\d+`)
	printed := ports.ReplaceAllString(g.log.String(), ":0")
	for l := range strings.SplitSeq(strings.TrimSpace(shown), "\n") {
		require.Contains(t, printed, ports.ReplaceAllString(l, ":0"))
	}
	require.Contains(t, printed, fmt.Sprintf("  %-8s curl ", "try"))
	require.Contains(t, printed, "weir.up.>")
}
