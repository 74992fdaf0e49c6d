package config

import (
	"strconv"
	"strings"
	"time"
)

// mask stands where a secret does.
const mask = "********"

// scalar is a value written as one text.
type scalar struct {
	expected string // ends "…; expected "
	secret   bool   // neither shown to people nor quoted in a fault
	// parse stores a text; what it returns, unless "", is what is wrong with
	// it and ends a sentence that starts with the text.
	parse func(text string) string
	// format is the stored value as YAML.
	format func() string
	// hide is format for people; nil: mask if secret, else format.
	hide func() string
}

func (s *scalar) read(r *reader, in input) {
	text, ok := r.text(in, s.expected)
	if !ok {
		return
	}
	if wrong := s.parse(text); wrong != "" {
		r.fault(in, s.subject(text)+" "+wrong+"; expected "+s.expected)
	}
}

func (s *scalar) subject(text string) string {
	switch {
	case strings.TrimSpace(text) == "":
		return "an empty value"
	case s.secret:
		return "the value"
	}
	return clip(text)
}

func (s *scalar) show(v view) string {
	out := s.format()
	switch {
	case v == plain:
		return out
	case s.hide != nil:
		return s.hide()
	case s.secret && out != `""`:
		return strconv.Quote(mask)
	}
	return out
}

// maxQuoted is how many bytes of an operator's text a fault repeats.
const maxQuoted = 64

// clip quotes a text, shortened.
func clip(s string) string {
	if len(s) <= maxQuoted {
		return strconv.Quote(s)
	}
	return strconv.Quote(strings.ToValidUTF8(s[:maxQuoted], "")) + "…"
}

// quote is a text as a YAML scalar that expand leaves alone. Go's escapes are
// all YAML's too (YAML 1.2.2 section 5.7).
func quote(s string) string {
	return strconv.Quote(strings.ReplaceAll(s, "${", "${:$}{"))
}

func text(dst *string) *scalar {
	return &scalar{
		expected: "a text",
		parse:    func(s string) string { *dst = s; return "" },
		format:   func() string { return quote(*dst) },
	}
}

func secret(dst *string, expected string) *scalar {
	s := text(dst)
	s.expected, s.secret = expected, true
	return s
}

func oneOf(dst *string, words ...string) *scalar {
	return &scalar{
		expected: alternatives(words),
		parse: func(s string) string {
			for _, w := range words {
				if strings.TrimSpace(s) == w {
					*dst = w
					return ""
				}
			}
			return "is not known here"
		},
		format: func() string { return *dst },
	}
}

func alternatives(words []string) string {
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// parseBool takes what YAML 1.1 and 1.2 call booleans.
func parseBool(s string) (value, ok bool) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "true", "on", "yes":
		return true, true
	case "false", "off", "no":
		return false, true
	}
	return false, false
}

func boolean(dst *bool) *scalar {
	return &scalar{
		expected: "true or false",
		parse: func(s string) string {
			b, ok := parseBool(s)
			if !ok {
				return "is neither"
			}
			*dst = b
			return ""
		},
		format: func() string { return strconv.FormatBool(*dst) },
	}
}

func onOff(dst *bool) *scalar {
	s := boolean(dst)
	s.expected = "on or off"
	s.format = func() string {
		if *dst {
			return "on"
		}
		return "off"
	}
	return s
}

// integer parses a decimal number from lo to hi into what set is called with.
func integer(lo, hi int64, set func(int64)) func(string) string {
	return func(s string) string {
		s = strings.TrimSpace(s)
		n, err := strconv.ParseInt(s, 10, 64)
		switch {
		case err != nil && !digits(s):
			return "is not a whole number"
		case err != nil || n < lo || n > hi:
			return "is out of range"
		}
		set(n)
		return ""
	}
}

// digits tells whether s is a number written out, however large.
func digits(s string) bool {
	if s != "" && (s[0] == '+' || s[0] == '-') {
		s = s[1:]
	}
	return s != "" && strings.Trim(s, "0123456789") == ""
}

func between(lo, hi int64) string {
	return "a whole number from " + strconv.FormatInt(lo, 10) + " to " + strconv.FormatInt(hi, 10)
}

func whole[T int | uint32](dst *T, lo, hi int64) *scalar {
	return &scalar{
		expected: between(lo, hi),
		parse:    integer(lo, hi, func(n int64) { *dst = T(n) }),
		format:   func() string { return strconv.FormatInt(int64(*dst), 10) },
	}
}

func millis(dst *time.Duration, lo, hi int64) *scalar {
	return &scalar{
		expected: between(lo, hi) + " (milliseconds)",
		parse:    integer(lo, hi, func(n int64) { *dst = time.Duration(n) * time.Millisecond }),
		format:   func() string { return strconv.FormatInt(dst.Milliseconds(), 10) },
	}
}

func decimal(dst *float64, lo, hi float64) *scalar {
	show := func(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
	return &scalar{
		expected: "a number from " + show(lo) + " to " + show(hi),
		parse: func(s string) string {
			f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
			if err != nil {
				return "is not a number"
			}
			if !(f >= lo && f <= hi) { // not a number fails too
				return "is out of range"
			}
			*dst = f
			return ""
		},
		format: func() string { return show(*dst) },
	}
}
