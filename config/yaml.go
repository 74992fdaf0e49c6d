package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// MaxFile is the largest file, and the longest override, in bytes: a thousand
// times what a gateway's configuration has, and small enough to hold as a tree.
const MaxFile = 1 << 20

// problem is why a text is no configuration at all; its text is "" for none.
type problem struct {
	line int // 0: the text as a whole
	text string
}

// decode is the tree of one YAML document; of an empty one, a null.
func decode(data []byte) (*yaml.Node, problem) {
	if p := unreadable(data); p.text != "" {
		return nil, p
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	root, err := next(dec)
	if errors.Is(err, io.EOF) {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: nullTag, Line: 1}, problem{}
	}
	if err != nil {
		return nil, syntax(data, err)
	}
	second, err := next(dec)
	switch {
	case errors.Is(err, io.EOF):
		return root, problem{}
	case err != nil:
		return nil, syntax(data, err)
	}
	return nil, problem{second.Line, "a second YAML document starts here; expected one in a file"}
}

// next is the next document's content. The library's own panics are errors:
// a configuration must not be able to end a process that reloads it.
func next(dec *yaml.Decoder) (n *yaml.Node, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("yaml: %v", p)
		}
	}()
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		return nil, err
	}
	if doc.Kind == yaml.DocumentNode && len(doc.Content) > 0 {
		return doc.Content[0], nil
	}
	return &doc, nil
}

// unreadable says why data is no text in UTF-8 of a fair size.
func unreadable(data []byte) problem {
	switch {
	case len(data) > MaxFile:
		return problem{0, "is larger than 1 MiB; expected a configuration"}
	case bytes.HasPrefix(data, []byte("\xfe\xff")) || bytes.HasPrefix(data, []byte("\xff\xfe")):
		return problem{1, "the file is UTF-16; expected UTF-8"}
	case bytes.HasPrefix(data, []byte("\ufeff")):
		return problem{1, "the file starts with a byte order mark; expected UTF-8 without one"}
	case utf8.Valid(data):
		return problem{}
	}
	line := 1
	for len(data) > 0 {
		r, n := utf8.DecodeRune(data)
		if r == utf8.RuneError && n == 1 {
			break
		}
		if r == '\n' {
			line++
		}
		data = data[n:]
	}
	return problem{line, "a character is not UTF-8; expected UTF-8"}
}

// syntax puts the library's complaint into a problem.
func syntax(data []byte, err error) problem {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 0
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		if number, what, found := strings.Cut(rest, ": "); found {
			line, _ = strconv.Atoi(number)
			text = what
		}
	}
	if name, ok := strings.CutPrefix(text, "unknown anchor '"); ok {
		name, _, _ = strings.Cut(name, "'")
		return problem{containing(data, "*"+name), "an alias has no anchor; expected a text that starts with * in quotes"}
	}
	if tab := tabbed(data); tab > 0 {
		return problem{tab, "a tab indents the line; expected blanks"}
	}
	line = blame(data, line, text)
	return problem{line, "is not YAML: " + strings.Join(strings.Fields(text), " ") + "; expected YAML"}
}

// containing is the first line that holds text. An alias that has no anchor is
// found by its name, which is not repeated: it may be a secret that somebody
// forgot to quote.
func containing(data []byte, text string) int {
	before, _, found := bytes.Cut(data, []byte(text))
	if !found {
		return 0
	}
	return 1 + bytes.Count(before, []byte("\n"))
}

// blame is the line of a complaint, 0 if it is about the whole. The library
// leaves out line 1, and of its parser's complaints ("did not find expected",
// "found undefined") it gives the line before the one where the enclosing
// section or list opens. For a wrong indentation that may be far away: there,
// the first line with which the complaint arises is found by halving.
func blame(data []byte, line int, text string) int {
	lines := slices.Collect(bytes.Lines(data))
	switch {
	case strings.HasPrefix(text, "exceeded"):
		return 0
	case strings.HasPrefix(text, "control characters"):
		return 1 + bytes.Count(data[:max(0, bytes.IndexFunc(data, unprintable))], []byte("\n"))
	case line == 0 || strings.HasPrefix(text, "did not find expected") || strings.HasPrefix(text, "found undefined"):
		line++
	}
	if text == "did not find expected key" || text == "did not find expected '-' indicator" {
		line = 1 + sort.Search(max(0, len(lines)-1), func(i int) bool {
			_, err := next(yaml.NewDecoder(bytes.NewReader(bytes.Join(lines[:i+1], nil))))
			return err != nil && strings.HasSuffix(err.Error(), text)
		})
	}
	return min(line, len(lines))
}

// unprintable are the characters that YAML refuses (YAML 1.2.2 section 5.1).
func unprintable(r rune) bool {
	allowed := r == '\t' || r == '\n' || r == '\r' || r == 0x85
	return unicode.IsControl(r) && !allowed || r == 0xfffe || r == 0xffff
}

// tabbed is the first line that a tab indents, 0 for none.
func tabbed(data []byte) int {
	line := 0
	for text := range bytes.Lines(data) {
		line++
		rest := bytes.TrimLeft(text, " \t")
		if bytes.IndexByte(text[:len(text)-len(rest)], '\t') >= 0 && len(bytes.TrimSpace(rest)) > 0 {
			return line
		}
	}
	return 0
}
