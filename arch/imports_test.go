package arch_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// root is the module's folder, seen from this one.
const root = ".."

// module begins the path of every package that is ours.
const module = "github.com/weirgate/weir/"

// listed is what `go list -json` says of a package and these tests read.
type listed struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
}

func (p listed) folder() string { return strings.TrimPrefix(p.ImportPath, module) }

// list is every package of the module, as goos sees it.
func list(t *testing.T, goos string) []listed {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOOS="+goos)
	out, err := cmd.Output()
	require.NoError(t, err, "go list: %s", stderr(err))
	var all []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else {
			require.NoError(t, err)
		}
		all = append(all, p)
	}
}

func stderr(err error) string {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return string(exit.Stderr)
	}
	return ""
}

// forbidden says why folder must not import path, "" if it may. Tests keep the
// arrows between our own packages; the libraries are theirs to choose.
func (t tables) forbidden(folder, path string, test bool) string {
	if !strings.HasPrefix(path, module) {
		lib, found := t.library(path)
		if !found || test {
			return ""
		}
		if own, _ := t.of(folder); lib.covers(own.subject) {
			return ""
		}
		return fmt.Sprintf("%s may not import %s: %s", folder, path, lib.why)
	}
	own, found := t.of(folder)
	if !found {
		return folder + " has no row in ARCHITECTURE.md"
	}
	target := strings.TrimPrefix(path, module)
	other, _ := t.of(target)
	if other.subject == own.subject || own.covers(other.subject) {
		return ""
	}
	return strings.TrimSuffix(fmt.Sprintf("%s may not import %s, which its row in ARCHITECTURE.md does not name: %s",
		folder, target, own.why), ": ")
}

func architecture(t *testing.T) tables {
	t.Helper()
	markdown, err := os.ReadFile(root + "/ARCHITECTURE.md")
	require.NoError(t, err)
	rules, err := parseTables(string(markdown))
	require.NoError(t, err, "ARCHITECTURE.md")
	return rules
}

func TestImportsPointOneWay(t *testing.T) {
	rules := architecture(t)
	for _, goos := range []string{"linux", "darwin"} {
		for _, p := range list(t, goos) {
			for _, path := range p.Imports {
				if fault := rules.forbidden(p.folder(), path, false); fault != "" {
					t.Errorf("%s: %s", goos, fault)
				}
			}
			for _, path := range slices.Concat(p.TestImports, p.XTestImports) {
				if fault := rules.forbidden(p.folder(), path, true); fault != "" {
					t.Errorf("%s, in a test: %s", goos, fault)
				}
			}
		}
	}
}

// The document names every package, and none that is gone.
func TestArchitectureNamesEveryPackage(t *testing.T) {
	rules := architecture(t)
	used := map[string]bool{}
	for _, p := range list(t, "linux") {
		own, found := rules.of(p.folder())
		if !found {
			t.Errorf("%s has no row in ARCHITECTURE.md's table of packages", p.folder())
		}
		used[own.subject] = true
	}
	for _, r := range rules.packages {
		if !used[r.subject] {
			t.Errorf("ARCHITECTURE.md has a row of %s, where there is no package", r.subject)
		}
		for _, name := range r.names {
			if other, _ := rules.of(name); other.subject != name {
				t.Errorf("ARCHITECTURE.md lets %s import %s, which has no row", r.subject, name)
			}
		}
	}
}
