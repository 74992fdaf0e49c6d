package config

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// entry is a key of the file and what stands behind it.
type entry struct {
	node *yaml.Node
	line int // the key's
}

// gathering collects the entries of one section, merge keys resolved.
type gathering struct {
	r   *reader
	k   *key
	in  input
	out map[string]entry
}

// entries are the known keys written in a section; the others are faults. A
// section of which nothing is written, or an empty one, has none.
func (r *reader) entries(in input, k *key) map[string]entry {
	if in.node == nil {
		return nil
	}
	r.sections[in.path] = in.from.at(in.line)
	if in.node.Kind != yaml.MappingNode {
		if in.node.Kind != yaml.ScalarNode || in.node.Tag != nullTag {
			r.fault(in, found(in.node)+" stands here; expected keys: "+strings.Join(k.names(), ", "))
		}
		return nil
	}
	g := &gathering{r: r, k: k, in: in, out: map[string]entry{}}
	g.gather(in.node, 0)
	return g.out
}

// gather adds a mapping's own keys and then, where those are silent, what it
// merges in.
func (g *gathering) gather(n *yaml.Node, depth int) {
	var merges []entry
	own := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		line := n.Content[i].Line
		k, v := g.r.resolve(n.Content[i], g.in.from), g.r.resolve(n.Content[i+1], g.in.from)
		switch {
		case k == nil || v == nil:
			return
		case k.Kind != yaml.ScalarNode:
			g.fault(line, `""`, found(k)+" stands for a key; expected a name")
		case k.Tag == mergeTag:
			merges = append(merges, entry{v, line})
		case depth == 0 && own[k.Value] != 0:
			g.fault(line, keyName(k.Value), "duplicate key; line "+strconv.Itoa(own[k.Value])+" has it too, expected it once")
		default:
			own[k.Value] = line
			g.add(k.Value, entry{v, line})
		}
	}
	for _, m := range merges {
		g.merge(m, depth+1)
	}
}

// add takes an entry unless the key is taken or unknown.
func (g *gathering) add(name string, e entry) {
	if _, taken := g.out[name]; taken {
		return
	}
	g.out[name] = e
	for _, k := range g.k.keys {
		if k.name == name {
			return
		}
	}
	g.fault(e.line, keyName(name), unknownKey(name, g.k.names()))
}

// merge adds a merge key's mapping, or its list of them, the first first.
func (g *gathering) merge(m entry, depth int) {
	switch {
	case depth > maxMerges:
		g.r.stop(g.in.from.at(m.line), "merge keys are nested deeper than "+strconv.Itoa(maxMerges)+"; expected fewer")
	case m.node.Kind == yaml.MappingNode:
		g.gather(m.node, depth)
	case m.node.Kind == yaml.SequenceNode:
		for _, n := range m.node.Content {
			if n = g.r.resolve(n, g.in.from); n == nil {
				return
			}
			if n.Kind == yaml.SequenceNode {
				g.fault(m.line, "<<", "a list is merged within a list; expected sections")
				continue
			}
			g.merge(entry{n, m.line}, depth)
		}
	default:
		g.fault(m.line, "<<", "a single value is merged; expected a section or a list of sections")
	}
}

func (g *gathering) fault(line int, name, problem string) {
	in := g.in
	in.line = line
	in.path = join(in.path, name)
	g.r.fault(in, problem)
}

// keyName is an unknown key as a fault shows it: up to where it stops being a
// name, since "token:secret" without its blank is a key too.
func keyName(name string) string {
	odd := strings.IndexFunc(name, notInName)
	switch {
	case name == "":
		return `""`
	case odd >= 0:
		return clip(name[:odd] + "…")
	case len(name) > maxQuoted:
		return clip(name)
	}
	return name
}

func unknownKey(name string, known []string) string {
	if near := nearest(name, known); near != "" {
		return "unknown key; did you mean " + near + "?"
	}
	return "unknown key; expected " + alternatives(known)
}
