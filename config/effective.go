package config

import (
	"bytes"
	"strings"
)

// Effective is the configuration in force as YAML, every key in the order of
// the contract, each value that is not a default with a comment saying where it
// was written. Secrets are masked; where none is set, loading it again gives
// the same Config.
func (l *Loaded) Effective() []byte {
	c := l.Config
	w := &writer{l: l}
	for _, k := range schema(&c).keys {
		w.key(k, k.name, 0)
	}
	return w.b.Bytes()
}

// writer writes keys with their places.
type writer struct {
	l *Loaded
	b bytes.Buffer
}

func (w *writer) key(k *key, path string, depth int) {
	indent := strings.Repeat("  ", depth)
	if k.value == nil {
		w.b.WriteString(indent + k.name + ":\n")
		for _, child := range k.keys {
			w.key(child, join(path, child.name), depth+1)
		}
		return
	}
	list, ok := k.value.(interface{ items(view) []string })
	if !ok || len(list.items(masked)) == 0 {
		w.line(indent+k.name+": "+k.value.show(masked), path)
		return
	}
	w.line(indent+k.name+":", path)
	for i, item := range list.items(masked) {
		w.line(indent+"  - "+item, index(path, i))
	}
}

func (w *writer) line(text, path string) {
	w.b.WriteString(text)
	if place := w.l.At(path); place != DefaultPlace {
		w.b.WriteString(" # " + place)
	}
	w.b.WriteByte('\n')
}

// Restart lists the paths of what differs between two configurations and takes
// a restart, in the order of the contract; empty if a reload does.
func Restart(before, after Config) []string {
	var out []string
	changed(&before, &after, func(path string, k *key) {
		if !k.live {
			out = append(out, path)
		}
	})
	return out
}

// Changed lists the paths of everything that differs between two
// configurations, in the order of the contract.
func Changed(before, after Config) []string {
	var out []string
	changed(&before, &after, func(path string, _ *key) { out = append(out, path) })
	return out
}

func changed(before, after *Config, f func(path string, k *key)) {
	shown := map[string]string{}
	schema(before).leaves("", func(path string, k *key) { shown[path] = k.value.show(plain) })
	schema(after).leaves("", func(path string, k *key) {
		if k.value.show(plain) != shown[path] {
			f(path, k)
		}
	})
}
