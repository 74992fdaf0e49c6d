package config

import (
	"maps"
	"slices"
	"strings"
)

const (
	prefix    = "WEIR_"
	separator = "__"
	// environmentPlace opens the place of whatever a variable is to blame for.
	environmentPlace = "environment "
)

// variables are an environment by name; of two of one name the first counts,
// as it does for the system.
func variables(environ []string) map[string]string {
	out := make(map[string]string, len(environ))
	for _, entry := range environ {
		name, value, found := strings.Cut(entry, "=")
		if _, twice := out[name]; found && name != "" && !twice {
			out[name] = value
		}
	}
	return out
}

// override is a variable that stands for a key.
type override struct{ name, value string }

// variable is the name of the variable that overrides the key at path.
func variable(path string) string {
	return prefix + strings.ToUpper(strings.ReplaceAll(path, ".", separator))
}

// overrides finds the variables that override keys of root, by path, and
// faults those that would and cannot.
func (r *reader) overrides(root *key, vars map[string]string) {
	paths := map[string]string{}
	root.leaves("", func(path string, _ *key) { paths[variable(path)] = path })
	for _, name := range overriding(vars) {
		path, known := paths[strings.ToUpper(name)]
		first, twice := r.over[path]
		switch {
		case !known:
			r.faults = append(r.faults, Fault{environmentPlace + printable(name), "", unknownVariable(name, paths)})
		case twice:
			r.faults = append(r.faults, Fault{environmentPlace + printable(name), path,
				"the environment has " + first.name + " too; expected one of them"})
		default:
			r.over[path] = override{name, vars[name]}
		}
	}
}

// overriding are the names that mean a key, sorted.
func overriding(vars map[string]string) []string {
	var out []string
	for name := range vars {
		if rest, ok := strings.CutPrefix(name, prefix); ok && strings.Contains(rest, separator) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

func unknownVariable(name string, paths map[string]string) string {
	upper := strings.ToUpper(name)
	known := slices.Sorted(maps.Keys(paths))
	for _, other := range known {
		if strings.HasPrefix(other, upper+separator) {
			return "is a section; expected one of its keys, such as " + other
		}
	}
	if near := nearest(upper, known); near != "" {
		return "means no key; did you mean " + near + "?"
	}
	return "means no key; expected " + prefix + " and a key's path with " + separator + " between levels, such as WEIR_QUOTA__HOST__LIMIT"
}
