package config

import "strings"

// maxSuggest is the longest name for which a likeness is sought: comparing
// costs its square.
const maxSuggest = 64

// nearest is the known name that a mistyped one is close to, "" if none is:
// at most every third of its letters, and no more than three, are to be changed.
func nearest(name string, known []string) string {
	if len(name) > maxSuggest {
		return ""
	}
	best, least := "", min(3, (len(name)+2)/3)+1
	for _, k := range known {
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is how many letters are to be inserted, left out or replaced to
// make b of a (Levenshtein's distance).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j]+1, row[j+1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
