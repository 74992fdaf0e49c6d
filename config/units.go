package config

import (
	"strconv"
	"strings"
	"time"
)

// unit is a multiple of a byte.
type unit struct {
	name  string
	bytes int64
}

// units are those a size may have, binary ones first, each kind from the
// largest: sizes are shown in the first that divides them, and a suffix is
// taken off in this order, so that "B" comes last.
func units() []unit {
	return []unit{
		{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
		{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"B", 1},
	}
}

func size(dst *int64, lo, hi int64) *scalar {
	return &scalar{
		expected: "a size from " + formatSize(lo) + " to " + formatSize(hi) + " (bytes, or with KB, MB, GB, KiB, MiB, GiB)",
		parse: func(s string) string {
			number, scale := cutUnit(strings.TrimSpace(s))
			if !digits(number) {
				return "is not a size"
			}
			n, err := strconv.ParseInt(number, 10, 64)
			if err != nil || n > hi/scale || n*scale < lo || n*scale > hi {
				return "is out of range"
			}
			*dst = n * scale
			return ""
		},
		format: func() string { return formatSize(*dst) },
	}
}

// cutUnit takes the unit, its letters in either case, off a size.
func cutUnit(s string) (number string, scale int64) {
	for _, u := range units() {
		cut := len(s) - len(u.name)
		if cut > 0 && strings.EqualFold(s[cut:], u.name) {
			return strings.TrimSpace(s[:cut]), u.bytes
		}
	}
	return s, 1
}

func formatSize(n int64) string {
	for _, u := range units() {
		if u.bytes > 1 && n >= u.bytes && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}

func duration(dst *time.Duration, lo, hi time.Duration) *scalar {
	return &scalar{
		expected: "a duration from " + formatDuration(lo) + " to " + formatDuration(hi) + " (such as 90s, 1h30m or 7d)",
		parse: func(s string) string {
			d, ok := parseDuration(strings.TrimSpace(s))
			if !ok {
				return "is not a duration"
			}
			if d < lo || d > hi {
				return "is out of range"
			}
			*dst = d
			return ""
		},
		format: func() string { return formatDuration(*dst) },
	}
}

const day = 24 * time.Hour

// maxDays is the longest Duration there is, in days.
const maxDays = float64(1<<63-1) / float64(day)

// parseDuration is time.ParseDuration that also knows days, as the first unit.
func parseDuration(s string) (time.Duration, bool) {
	days, rest, found := strings.Cut(s, "d")
	if !found {
		d, err := time.ParseDuration(s)
		return d, err == nil
	}
	n, err := strconv.ParseFloat(days, 64)
	if err != nil || !(n >= 0 && n < maxDays/2) {
		return 0, false
	}
	total := time.Duration(n * float64(day))
	if rest == "" {
		return total, true
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d < 0 || d > 1<<62 {
		return 0, false
	}
	return total + d, true
}

// formatDuration leaves out the zeros of time.Duration's text: 168h, not
// 168h0m0s.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
