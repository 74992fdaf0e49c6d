package coap_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/transports/coap"
)

// libcoap runs Debian's client (libcoap3-bin) and gives what it prints.
func libcoap(t *testing.T, args ...string) string {
	t.Helper()
	const tool = "coap-client-notls"
	if _, err := exec.LookPath(tool); err != nil {
		require.NotEqual(t, "all", os.Getenv("WEIR_E2E"), "%s is missing: install libcoap3-bin", tool)
		t.Skipf("%s is missing: install libcoap3-bin", tool)
	}
	out, err := exec.CommandContext(t.Context(), tool, append([]string{"-B", "5"}, args...)...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return string(out)
}

func TestLibcoap(t *testing.T) {
	long := `{"client":{"a":"` + strings.Repeat("x", 3000) + `"}}`
	w := newWorld(t, func(w *world, _ *coap.Config) {
		w.ask = func(context.Context, string, []byte) ([]byte, error) { return []byte(long), nil }
	}).serve()
	at := "coap://" + w.srv.Addr().String() + "/api/v1/"
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"telemetry", []string{"-m", "post", "-e", `{"n":1}`, at + "tok/telemetry"}, ""},
		{"by NON", []string{"-N", "-m", "post", "-e", `{"n":2}`, at + "tok/telemetry"}, ""},
		{"in one block", []string{"-b", "64", "-m", "post", "-e", `{"n":3}`, at + "tok/telemetry"}, ""},
		{"bad token", []string{"-m", "post", "-e", `{}`, at + "no/telemetry"}, "4.01"},
		{"unknown path", []string{"-m", "post", "-e", `{}`, at + "tok/x/y"}, "4.04"},
		{"attributes in blocks", []string{"-m", "get", at + "tok/attributes?clientKeys=a"}, long},
		{"attributes in small blocks", []string{"-b", "128", "-m", "get", at + "tok/attributes"}, long},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out := strings.TrimSpace(libcoap(t, tt.args...))
			if tt.want == "" {
				require.Empty(t, out)
				return
			}
			require.Contains(t, out, tt.want)
		})
	}
	require.Equal(t, []string{`{"n":1}`, `{"n":2}`, `{"n":3}`}, w.store.stored())
}
