package config

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// texts is a list of texts: a YAML list, or one text separated by commas.
type texts struct {
	dst      *[]string
	expected string
	// check says what is wrong with an item, "" if nothing is; nil: nothing
	// ever is.
	check func(item string) string
}

func hosts(dst *[]string) *texts {
	return &texts{dst: dst, expected: "a list of hosts, or a text of them separated by commas"}
}

func proxies(dst *[]string) *texts {
	return &texts{
		dst:      dst,
		expected: "a list of IP addresses and CIDR prefixes, such as [10.0.0.0/8]",
		check: func(item string) string {
			if _, err := Prefix(item); err != nil {
				return "is neither an IP address nor a CIDR prefix"
			}
			return ""
		},
	}
}

func (t *texts) read(r *reader, in input) {
	*t.dst = []string{}
	if in.node.Kind != yaml.SequenceNode {
		t.items(r, in, in)
		return
	}
	for _, n := range in.node.Content {
		line := n.Line
		if n = r.resolve(n, in.from); n == nil {
			return
		}
		item := input{path: index(in.path, len(*t.dst)), node: n, line: line, from: in.from}
		t.items(r, item, in)
	}
}

// items adds what one text holds to the list at list.path.
func (t *texts) items(r *reader, in, list input) {
	text, ok := r.text(in, t.expected)
	if !ok {
		return
	}
	for item := range strings.SplitSeq(text, ",") {
		item = strings.TrimSpace(item)
		if item == "" {
			continue
		}
		in.path = index(list.path, len(*t.dst))
		*t.dst = append(*t.dst, item)
		r.note(in)
		if t.check == nil {
			continue
		}
		if wrong := t.check(item); wrong != "" {
			r.fault(in, clip(item)+" "+wrong+"; expected "+t.expected)
		}
	}
}

func (t *texts) show(view) string {
	out := make([]string, len(*t.dst))
	for i, item := range *t.dst {
		out[i] = quote(item)
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// index is the path of an item of the list at path.
func index(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// objects is a list of sections, each read into a T.
type objects[T any] struct {
	dst     *[]T
	keys    func(*T) []*key // an item's keys, bound to it
	initial T               // an item of which nothing is written
	// short reads a list written as one text in a form of its own; nil: there
	// is none.
	short func(text string) ([]T, bool)
}

func (o *objects[T]) read(r *reader, in input) {
	*o.dst = []T{}
	if in.node.Kind == yaml.ScalarNode {
		if in = o.inline(r, in); in.node == nil {
			return
		}
	}
	if in.node.Kind != yaml.SequenceNode {
		r.fault(in, o.expected(found(in.node)))
		return
	}
	for i, n := range in.node.Content {
		item := input{path: index(in.path, i), line: n.Line, from: in.from}
		if item.node = r.resolve(n, in.from); item.node == nil {
			return
		}
		r.note(item)
		*o.dst = append(*o.dst, o.item(r, item))
	}
}

// inline is a list written as YAML or JSON in one text; its node is nil if the
// text is empty or was refused.
func (o *objects[T]) inline(r *reader, in input) input {
	text, ok := r.text(in, "a list")
	in.node = nil
	if !ok || strings.TrimSpace(text) == "" {
		return in
	}
	if o.short != nil {
		if items, is := o.short(text); is {
			*o.dst = items
			return in
		}
	}
	in.from = origin{place: in.from.at(in.line), literal: true}
	root, problem := decode([]byte(text))
	if problem.text != "" {
		r.fault(in, o.expected("the text is not YAML or JSON"))
		return in
	}
	in.node = root
	return in
}

func (o *objects[T]) item(r *reader, in input) T {
	item := o.initial
	keys := &key{keys: o.keys(&item)}
	if in.node.Kind != yaml.MappingNode {
		r.fault(in, found(in.node)+" stands here; expected keys: "+strings.Join(keys.names(), ", "))
		return item
	}
	r.section(keys, in)
	return item
}

func (o *objects[T]) expected(wrong string) string {
	names := (&key{keys: o.keys(new(T))}).names()
	return wrong + "; expected a list of {" + strings.Join(names, ", ") + "}"
}

// items is each item as YAML on one line, without what shows as nothing.
func (o *objects[T]) items(v view) []string {
	out := make([]string, len(*o.dst))
	for i := range *o.dst {
		var fields []string
		for _, k := range o.keys(&(*o.dst)[i]) {
			if shown := k.value.show(v); shown != "" {
				fields = append(fields, k.name+": "+shown)
			}
		}
		out[i] = "{" + strings.Join(fields, ", ") + "}"
	}
	return out
}

func (o *objects[T]) show(v view) string { return "[" + strings.Join(o.items(v), ", ") + "]" }
