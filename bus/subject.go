package bus

import "strings"

// MaxSubject is the longest subject in bytes (contract section 5): one over
// about 4 KiB would close the connection that everybody shares.
const MaxSubject = 512

const upperHex = "0123456789ABCDEF"

// plain tells whether c may stand in a subject's token as it is.
func plain(c byte) bool {
	return c-'a' < 26 || c-'A' < 26 || c-'0' < 10 || c == '_' || c == '-'
}

// AppendToken appends s as one token of a subject: [A-Za-z0-9_-] as it is, any
// other byte as %XX, the empty string as %. Different strings give different
// tokens, and no token holds a separator, a wildcard or white space.
func AppendToken(b []byte, s string) []byte {
	if s == "" {
		return append(b, '%')
	}
	for i := range len(s) {
		if c := s[i]; plain(c) {
			b = append(b, c)
		} else {
			b = append(b, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return b
}

// appendLevels appends s, whose levels a slash separates, as tokens.
func appendLevels(b []byte, s string) []byte {
	for {
		level, rest, more := strings.Cut(s, "/")
		b = AppendToken(b, level)
		if !more {
			return b
		}
		b, s = append(b, '.'), rest
	}
}

// subjectOf is prefix.account.device, and .levels unless levels is "".
func subjectOf(prefix, account, device, levels string) (string, error) {
	if len(account)+len(device)+len(levels) > MaxSubject {
		return "", ErrSubject
	}
	var buf [MaxSubject]byte
	b := append(buf[:0], prefix...)
	b = AppendToken(append(b, '.'), account)
	b = AppendToken(append(b, '.'), device)
	if levels != "" {
		b = appendLevels(append(b, '.'), levels)
	}
	if len(b) > MaxSubject {
		return "", ErrSubject
	}
	return string(b), nil
}

// headerValue is s as a header can carry it: control bytes, blanks at either
// end (which readers trim) and the percent sign itself as %XX.
func headerValue(s string) string {
	for i := range len(s) {
		if unsafeInHeader(s, i) {
			return escapeHeader(s)
		}
	}
	return s
}

func unsafeInHeader(s string, i int) bool {
	c := s[i]
	return c < ' ' || c == 0x7f || c == '%' || c == ' ' && (i == 0 || i == len(s)-1)
}

func escapeHeader(s string) string {
	b := make([]byte, 0, len(s)+8)
	for i := range len(s) {
		if c := s[i]; unsafeInHeader(s, i) {
			b = append(b, '%', upperHex[c>>4], upperHex[c&15])
		} else {
			b = append(b, c)
		}
	}
	return string(b)
}
