package config

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// lookup is how an environment is asked for a variable.
type lookup func(name string) (value string, set bool)

// expand replaces every ${NAME:default} of s. What is wrong, unless "", is a
// whole sentence that quotes no more of s than a variable's name.
func expand(s string, get lookup) (out, wrong string) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, "${")
		b.WriteString(before)
		if !found {
			break
		}
		body, after, closed := strings.Cut(rest, "}")
		if !closed {
			return "", "a placeholder is not closed; expected ${NAME:default}"
		}
		text, wrong := replace(body, get)
		if wrong != "" {
			return "", wrong
		}
		b.WriteString(text)
		if b.Len() > MaxFile {
			return "", "the placeholders make it longer than 1 MiB; expected less"
		}
		s = after
	}
	if !utf8.ValidString(b.String()) {
		return "", "a placeholder's value is not UTF-8; expected UTF-8"
	}
	return b.String(), ""
}

// replace is what one placeholder's body, NAME:default, stands for.
func replace(body string, get lookup) (text, wrong string) {
	name, fallback, optional := strings.Cut(body, ":")
	switch {
	case strings.Contains(body, "${"):
		return "", "a placeholder stands within another; expected ${NAME:default} with a plain default"
	case name == "" && optional:
		return fallback, ""
	case !isVariable(name):
		return "", "a placeholder has no proper name; expected ${NAME:default}"
	}
	if v, set := get(name); set {
		return v, ""
	}
	if !optional {
		return "", "the environment has no " + name + "; expected it to be set, or a default: ${" + name + ":default}"
	}
	return fallback, ""
}

// isVariable tells whether name can be an environment variable's: printable,
// without blanks, = and $.
func isVariable(name string) bool {
	odd := func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) || r == '=' || r == '$' }
	return name != "" && len(name) <= 256 && !strings.ContainsFunc(name, odd)
}
