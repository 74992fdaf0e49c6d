package arch_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// source is a Go file of the repository, those of its other modules included.
type source struct {
	path string // from the root
	test bool   // a _test.go file
	text []byte
	tree *ast.File
	set  *token.FileSet
}

func (s source) at(n ast.Node) string {
	return s.path + ":" + strconv.Itoa(s.set.Position(n.Pos()).Line)
}

func parse(path string, text []byte) (source, error) {
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, path, text, parser.ParseComments)
	return source{path, strings.HasSuffix(path, "_test.go"), text, tree, set}, err
}

// sources is every Go file, testdata and what npm installs left out.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && path != root && (name[0] == '.' || name == "testdata" || name == "node_modules" || name == "weir-data") {
			return fs.SkipDir
		}
		if d.IsDir() || filepath.Ext(name) != ".go" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		s, err := parse(filepath.ToSlash(rel), text)
		all = append(all, s)
		return err
	})
	require.NoError(t, err)
	return all
}

// habits are what a file must not hold: each gives the places where it does.
var habits = []struct {
	name string
	find func(source) []string
}{
	{name: "a test sleeps; wait for what it waits for", find: sleeps},
	{name: "init runs before main can say anything; give the package a New", find: inits},
	{name: "work left for somebody", find: leftOver},
	{name: "a file of over 500 lines is two", find: tooLong},
}

func TestHabits(t *testing.T) {
	for _, s := range sources(t) {
		for _, h := range habits {
			for _, place := range h.find(s) {
				t.Errorf("%s: %s", place, h.name)
			}
		}
	}
}

// sleeps finds time.Sleep in tests, under whatever name time is imported.
func sleeps(s source) (places []string) {
	name := ""
	for _, spec := range s.tree.Imports {
		if spec.Path.Value == `"time"` {
			name = "time"
			if spec.Name != nil {
				name = spec.Name.Name
			}
		}
	}
	if !s.test || name == "" {
		return nil
	}
	ast.Inspect(s.tree, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "Sleep" {
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == name {
				places = append(places, s.at(n))
			}
		}
		return true
	})
	return places
}

func inits(s source) (places []string) {
	for _, d := range s.tree.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" && !s.test {
			places = append(places, s.at(f))
		}
	}
	return places
}

var left = regexp.MustCompile(`\b(TODO|FIXME|XXX|HACK)\b`)

func leftOver(s source) (places []string) {
	for _, group := range s.tree.Comments {
		for _, c := range group.List {
			if left.MatchString(c.Text) && !s.test {
				places = append(places, s.at(c))
			}
		}
	}
	return places
}

// maxLines is the wall of the house style; files are usually 80 to 200 lines.
const maxLines = 500

func tooLong(s source) []string {
	if !s.test && bytes.Count(s.text, []byte("\n")) > maxLines {
		return []string{s.path}
	}
	return nil
}

func TestEveryPackageHasOneComment(t *testing.T) {
	comments := map[string]int{} // by folder
	for _, s := range sources(t) {
		folder := filepath.Dir(s.path)
		comments[folder] += 0
		if s.tree.Doc != nil && !s.test {
			comments[folder]++
		}
	}
	for folder, n := range comments {
		if n != 1 {
			t.Errorf("%s has %d package comments; it needs one, in doc.go or main.go", folder, n)
		}
	}
}

// The finders find.
func TestHabitsAreSeen(t *testing.T) {
	tests := []struct {
		name, path, text string
		find             func(source) []string
		want             []string
	}{
		{name: "sleep", path: "a_test.go", find: sleeps, want: []string{"a_test.go:3"},
			text: "package a\nimport \"time\"\nfunc f() { time.Sleep(1) }"},
		{name: "sleep by another name", path: "a_test.go", find: sleeps, want: []string{"a_test.go:3"},
			text: "package a\nimport clock \"time\"\nvar nap = clock.Sleep"},
		{name: "somebody else's sleep", path: "a_test.go", find: sleeps,
			text: "package a\nimport \"time\"\nfunc f(c clock) { c.Sleep(time.Second) }"},
		{name: "sleep outside tests", path: "a.go", find: sleeps,
			text: "package a\nimport \"time\"\nfunc f() { time.Sleep(1) }"},
		{name: "init", path: "a.go", find: inits, want: []string{"a.go:2"},
			text: "package a\nfunc init() {}"},
		{name: "a method init", path: "a.go", find: inits,
			text: "package a\nfunc (t T) init() {}"},
		{name: "left over", path: "a.go", find: leftOver, want: []string{"a.go:2"},
			text: "package a\n// TO" + "DO: later"},
		{name: "the word in a string", path: "a.go", find: leftOver,
			text: "package a\nconst s = \"TO" + "DO\""},
		{name: "long", path: "a.go", find: tooLong, want: []string{"a.go"},
			text: "package a" + strings.Repeat("\n", maxLines+1)},
		{name: "long enough", path: "a.go", find: tooLong,
			text: "package a" + strings.Repeat("\n", maxLines)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := parse(tt.path, []byte(tt.text))
			require.NoError(t, err)
			require.Equal(t, tt.want, tt.find(s))
		})
	}
}
