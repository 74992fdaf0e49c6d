package config

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Tags of the library that this package looks at.
const (
	nullTag  = "!!null"
	mergeTag = "!!merge"
)

// Bounds of what aliases may make of a file of MaxFile bytes. A file without
// them never meets maxNodes, having fewer nodes than bytes.
const (
	maxNodes  = MaxFile
	maxMerges = 16 // levels of merge keys
)

// origin is where a text stands.
type origin struct {
	file    string // place of a line, without the line
	place   string // the whole place, where lines mean nothing
	literal bool   // placeholders are text
}

// at is the place of a line.
func (o origin) at(line int) string {
	if o.place != "" {
		return o.place
	}
	return linePlace(o.file, line)
}

// input is a node to be read into the value at path.
type input struct {
	path string
	node *yaml.Node // not an alias; nil: nothing is written
	line int        // where it is named
	from origin
}

// reader takes a Config out of a tree and an environment, and gathers every
// fault on its way.
type reader struct {
	get      lookup
	over     map[string]override
	places   map[string]string // of values and items
	sections map[string]string // of sections
	bad      map[string]bool   // paths of values that have a fault
	faults   []Fault
	stopped  bool
	nodes    int // seen so far
	expanded int // bytes that placeholders made so far
}

func newReader(vars map[string]string) *reader {
	return &reader{
		get:  func(name string) (string, bool) { v, set := vars[name]; return v, set },
		over: map[string]override{}, places: map[string]string{},
		sections: map[string]string{}, bad: map[string]bool{},
	}
}

func (r *reader) fault(in input, problem string) {
	r.bad[in.path] = true
	r.faults = append(r.faults, Fault{in.from.at(in.line), in.path, problem})
}

// note remembers where the value at in.path was written.
func (r *reader) note(in input) { r.places[in.path] = in.from.at(in.line) }

// stop gives up on a file that aliases have made too large: one fault.
func (r *reader) stop(place, problem string) {
	if !r.stopped {
		r.stopped = true
		r.faults = append(r.faults, Fault{place, "", problem})
	}
}

// resolve follows aliases; nil, once the reader has stopped.
func (r *reader) resolve(n *yaml.Node, from origin) *yaml.Node {
	if r.nodes++; r.nodes > maxNodes {
		r.stop(from.at(n.Line), "aliases make the file larger than "+strconv.Itoa(maxNodes)+" values; expected fewer")
	}
	if r.stopped {
		return nil
	}
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// section reads the keys of a section, from the file or the environment.
func (r *reader) section(k *key, in input) {
	entries := r.entries(in, k)
	for _, child := range k.keys {
		sub := input{path: join(in.path, child.name), from: in.from}
		if e, ok := entries[child.name]; ok {
			sub.node, sub.line = e.node, e.line
		}
		if child.value == nil {
			r.section(child, sub)
			continue
		}
		if o, ok := r.over[sub.path]; ok {
			sub.from = origin{place: environmentPlace + printable(o.name), literal: true}
			sub.node = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: o.value}
		}
		if sub.node != nil {
			r.note(sub)
			child.value.read(r, sub)
		}
	}
}

// text is the text of a scalar, its placeholders replaced; false if there is a
// fault, which has been told.
func (r *reader) text(in input, expected string) (string, bool) {
	n := in.node
	switch {
	case n.Kind != yaml.ScalarNode:
		r.fault(in, found(n)+" stands here; expected "+expected)
		return "", false
	case tagged(n):
		r.fault(in, "a YAML tag stands here; expected "+expected+", without a tag")
		return "", false
	case n.Tag == nullTag:
		return "", true
	}
	out, wrong := n.Value, ""
	if !in.from.literal {
		out, wrong = r.expand(out)
	}
	switch {
	case wrong != "":
	case len(out) > MaxFile:
		wrong = "the text is longer than 1 MiB; expected less"
	case !utf8.ValidString(out):
		wrong = "the text is not UTF-8; expected UTF-8"
	default:
		return out, true
	}
	r.fault(in, wrong)
	return "", false
}

// tagged tells whether a scalar's tag makes it another text than it shows.
func tagged(n *yaml.Node) bool {
	return n.Style&yaml.TaggedStyle != 0 && !strings.HasPrefix(n.Tag, "!!") || n.Tag == "!!binary"
}

// maxExpanded bounds the bytes that all placeholders of a file make together.
const maxExpanded = 8 * MaxFile

// expand replaces placeholders; what is wrong, unless "", is a whole sentence.
func (r *reader) expand(text string) (out, wrong string) {
	out, wrong = expand(text, r.get)
	if r.expanded += len(out); r.expanded > maxExpanded {
		return "", "the placeholders make the file longer than 8 MiB; expected less"
	}
	return out, wrong
}

// found is a kind of node in an operator's words.
func found(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a section"
	case yaml.SequenceNode:
		return "a list"
	}
	return "a single value"
}
