package arch_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func fixture(t *testing.T) tables {
	t.Helper()
	markdown, err := os.ReadFile("testdata/ARCHITECTURE.md")
	require.NoError(t, err)
	got, err := parseTables(string(markdown))
	require.NoError(t, err)
	return got
}

func TestParseTables(t *testing.T) {
	require.Equal(t, tables{
		packages: []rule{
			{subject: "quota"},
			{subject: "hostlist"},
			{subject: "transports", names: []string{"quota", "hostlist"}},
			{subject: "transports/http", names: []string{"transports", "quota"}},
			{subject: "cmd/weir", all: true},
		},
		libraries: []rule{
			{subject: "github.com/gin-gonic/gin", names: []string{"transports/http"}, why: "one adapter a technology"},
			{subject: "example.com/lib/deep", why: "nobody needs it"},
		},
	}, fixture(t))
}

func TestParseTableFaults(t *testing.T) {
	const head = "| package | may import (ours) |\n|---|---|\n"
	tests := []struct{ name, markdown, fault string }{
		{name: "no table", markdown: "words", fault: "no table"},
		{name: "no rows", markdown: head, fault: "no table"},
		{name: "two tables", markdown: head + "| `a` | – |\n\n" + head + "| `b` | – |\n", fault: "two tables"},
		{name: "a cell too few", markdown: head + "| `a` |\n", fault: "1 cells"},
		{name: "no name", markdown: head + "| – | `a` |\n", fault: "names nothing"},
		{name: "name without backquotes", markdown: head + "| `a` | b |\n", fault: "backquotes"},
		{name: "empty cell", markdown: head + "| `a` | |\n", fault: "backquotes"},
		{name: "none and a name", markdown: head + "| `a` | – `b` |\n", fault: "backquotes"},
		{name: "all and a name", markdown: head + "| `a` | all, `b` |\n", fault: "backquotes"},
		{name: "two rows of one package", markdown: head + "| `a` | – |\n| `a` | all |\n", fault: "two rows"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parseTable(tt.markdown, colPackage, colMayImport)
			require.ErrorContains(t, err, tt.fault)
		})
	}
}

func TestForbidden(t *testing.T) {
	const ours = "github.com/weirgate/weir/"
	tests := []struct {
		name, folder, path string
		test               bool // imported by a test alone
		want               string
	}{
		{name: "what the row names", folder: "transports/http", path: ours + "quota"},
		{name: "what it does not", folder: "transports/http", path: ours + "hostlist", want: "transports/http may not import hostlist"},
		{name: "against the arrow", folder: "quota", path: ours + "transports", want: "may not import transports"},
		{name: "below a named folder", folder: "transports", path: ours + "quota/clock"},
		{name: "a nearer row is its own", folder: "transports", path: ours + "transports/http", want: "may not import transports/http"},
		{name: "inside one row", folder: "quota/clock", path: ours + "quota"},
		{name: "all", folder: "cmd/weir/app", path: ours + "transports/http"},
		{name: "no row", folder: "misc", path: ours + "quota", want: "misc has no row"},
		{name: "tests keep the arrows", folder: "quota", path: ours + "transports", test: true, want: "may not import"},
		{name: "the standard library", folder: "quota", path: "fmt"},
		{name: "a library of one folder, there", folder: "transports/http", path: "github.com/gin-gonic/gin/binding"},
		{name: "elsewhere", folder: "quota", path: "github.com/gin-gonic/gin", want: "one adapter a technology"},
		{name: "elsewhere, in a test", folder: "quota", path: "github.com/gin-gonic/gin", test: true},
		{name: "a name that only begins alike", folder: "quota", path: "github.com/gin-gonic/ginger"},
		{name: "a library of nobody", folder: "cmd/weir", path: "example.com/lib/deep/er", want: "nobody needs it"},
	}
	rules := fixture(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := rules.forbidden(tt.folder, tt.path, tt.test)
			if tt.want == "" {
				require.Empty(t, got)
				return
			}
			require.Contains(t, got, tt.want)
		})
	}
}
