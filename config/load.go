package config

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Source is where a configuration comes from.
type Source struct {
	// Path is the file; "" for none: built-in defaults and the environment.
	Path string
	// Environ is the environment as os.Environ gives it; nil is an empty one.
	Environ []string
}

// Loaded is a configuration that was read without a fault. It is immutable and
// safe for concurrent use.
type Loaded struct {
	Config Config
	// Warnings are what the operator should know of a configuration that works,
	// each a line with place and path like a Fault's.
	Warnings []string

	places   map[string]string // of values and items
	sections map[string]string
}

// DefaultPlace is the place of what nobody wrote.
const DefaultPlace = "default"

// Load reads a configuration. The error, if any, is a *FaultsError with every
// fault there is. It is safe for concurrent use.
func Load(src *Source) (*Loaded, error) {
	if src.Path == "" {
		return Parse("", nil, src.Environ)
	}
	data, problem := readFile(src.Path)
	return load(&document{src.Path, data, problem}, src.Environ)
}

// Parse is Load for a file already read; name is what places call it.
func Parse(name string, data []byte, environ []string) (*Loaded, error) {
	return load(&document{name: name, data: data}, environ)
}

// document is a file, or why it could not be read.
type document struct {
	name    string
	data    []byte
	problem problem
}

func load(doc *document, environ []string) (*Loaded, error) {
	var tree *yaml.Node
	if doc.problem.text == "" {
		tree, doc.problem = decode(doc.data)
	}
	l := &Loaded{Config: Default()}
	root := schema(&l.Config)
	vars := variables(environ)
	r := newReader(vars)
	r.overrides(root, vars)
	in := input{node: tree, from: origin{file: doc.name}}
	if tree != nil {
		in.line = tree.Line
	}
	r.section(root, in)
	l.places, l.sections = r.places, r.sections
	switch {
	case doc.problem.text != "":
		r.faults = append(r.faults, Fault{linePlace(doc.name, doc.problem.line), "", doc.problem.text})
	case !r.stopped:
		check := rules{l: l, bad: r.bad}
		r.faults = append(r.faults, check.check()...)
	}
	if err := NewFaultsError(r.faults); err != nil {
		var all *FaultsError
		if errors.As(err, &all) && doc.problem.text == "" && !r.stopped {
			all.Rest = l
		}
		return nil, err
	}
	return l, nil
}

// readFile reads a file of at most MaxFile bytes, and one more that tells a
// larger one.
func readFile(path string) ([]byte, problem) {
	f, err := os.Open(path)
	if err != nil {
		return nil, unopened(err)
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, unopened(err)
	}
	return data, problem{}
}

func unopened(err error) problem {
	why := err.Error()
	var pe *fs.PathError
	if errors.As(err, &pe) {
		why = pe.Err.Error()
	}
	return problem{0, "cannot be read: " + why + "; expected a YAML file"}
}

// At is where the value at path was written: "weir.yaml:12", "environment
// WEIR_…", or DefaultPlace. An item of a list has its own place or the list's,
// a section its key's.
func (l *Loaded) At(path string) string {
	if place, ok := l.sections[path]; ok {
		return place
	}
	for path != "" {
		if place, ok := l.places[path]; ok {
			return place
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return DefaultPlace
}

// Fault is a Fault of another room's making at path, which gets its place.
func (l *Loaded) Fault(path, problem string) Fault {
	return Fault{Place: l.At(path), Path: path, Problem: problem}
}

func linePlace(file string, line int) string {
	if line == 0 {
		return printable(file)
	}
	return printable(file) + ":" + strconv.Itoa(line)
}

// printable is a name that cannot break a line: as it is, or quoted.
func printable(name string) string {
	if !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(name)
	}
	return name
}
