package arch_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// The titles of the columns by which the two tables are found. A table may have
// others, and they may stand in any order; a column named why is what a failing
// test says of a forbidden import.
const (
	colPackage    = "package"
	colMayImport  = "may import (ours)"
	colLibrary    = "library"
	colImportedBy = "only imported by"
	colWhy        = "why"
)

// rule is one line of a table. In the table of packages subject is a folder and
// names are the folders it may import; in the table of libraries subject is a
// module or package path and names are the folders that may import it.
type rule struct {
	subject string
	names   []string
	all     bool // the cell says: all
	why     string
}

// covers tells whether r's cell covers folder: it names it, or all.
func (r rule) covers(folder string) bool { return r.all || slices.Contains(r.names, folder) }

// tables is what ARCHITECTURE.md says of imports.
type tables struct {
	packages  []rule
	libraries []rule
}

// of is the rule of a folder: the longest subject that is it or a folder above it.
func (t tables) of(folder string) (rule, bool) { return longest(t.packages, folder) }

// library is the rule of an imported path, if the second table has one.
func (t tables) library(path string) (rule, bool) { return longest(t.libraries, path) }

func longest(rules []rule, path string) (best rule, found bool) {
	for _, r := range rules {
		if within(path, r.subject) && (!found || len(r.subject) > len(best.subject)) {
			best, found = r, true
		}
	}
	return best, found
}

// within tells whether path is root or below it.
func within(path, root string) bool {
	return path == root || strings.HasPrefix(path, root+"/")
}

// parseTables reads both tables out of a Markdown document; each must be there
// once.
func parseTables(markdown string) (tables, error) {
	packages, err := parseTable(markdown, colPackage, colMayImport)
	if err != nil {
		return tables{}, err
	}
	libraries, err := parseTable(markdown, colLibrary, colImportedBy)
	if err != nil {
		return tables{}, err
	}
	return tables{packages, libraries}, nil
}

// parseTable reads the one table that has columns of both titles.
func parseTable(markdown, subject, names string) ([]rule, error) {
	var rules []rule
	for _, block := range blocks(markdown) {
		titles := cells(strings.ToLower(block[0]))
		s, n := slices.Index(titles, subject), slices.Index(titles, names)
		if s < 0 || n < 0 {
			continue
		}
		if rules != nil {
			return nil, fmt.Errorf("two tables have the columns %q and %q", subject, names)
		}
		w := slices.Index(titles, colWhy)
		for _, line := range block[2:] {
			row := cells(line)
			if len(row) != len(titles) {
				return nil, fmt.Errorf("%d cells where the table has %d columns: %s", len(row), len(titles), line)
			}
			more, err := parseRow(row, s, n, w)
			if err != nil {
				return nil, fmt.Errorf("%w: %s", err, line)
			}
			rules = append(rules, more...)
		}
	}
	if rules == nil {
		return nil, fmt.Errorf("no table has the columns %q and %q", subject, names)
	}
	return rules, unique(rules)
}

// blocks are the document's tables: runs of lines that begin with a bar, of
// which the second is the ruler.
func blocks(markdown string) [][]string {
	var all [][]string
	var block []string
	for line := range strings.Lines(markdown + "\n\n") {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "|") {
			block = append(block, line)
			continue
		}
		if len(block) > 1 && strings.Trim(block[1], "|-: ") == "" {
			all = append(all, block)
		}
		block = nil
	}
	return all
}

func cells(line string) []string {
	parts := strings.Split(strings.Trim(line, "|"), "|")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

// parseRow makes a rule for each subject that a row names.
func parseRow(row []string, subject, names, why int) ([]rule, error) {
	subjects, all, err := parseCell(row[subject])
	if err != nil {
		return nil, err
	}
	if all || len(subjects) == 0 {
		return nil, fmt.Errorf("the first cell names nothing")
	}
	r := rule{}
	if r.names, r.all, err = parseCell(row[names]); err != nil {
		return nil, err
	}
	if why >= 0 {
		r.why = row[why]
	}
	var rules []rule
	for _, s := range subjects {
		r.subject = s
		rules = append(rules, r)
	}
	return rules, nil
}

var (
	quoted = regexp.MustCompile("`([^`]+)`")
	remark = regexp.MustCompile(`\([^)]*\)`)
)

// parseCell reads names in backquotes with commas between them, and remarks in
// round brackets, which count for nothing; or "all"; or "–" for none.
func parseCell(cell string) (names []string, all bool, err error) {
	for _, m := range quoted.FindAllStringSubmatch(cell, -1) {
		names = append(names, strings.Trim(m[1], "/"))
	}
	rest := remark.ReplaceAllString(quoted.ReplaceAllString(cell, ""), "")
	switch rest = strings.Trim(rest, ", "); {
	case rest == "all" && names == nil:
		return nil, true, nil
	case (rest == "–") == (names == nil) && (rest == "–" || rest == ""):
		return names, false, nil
	}
	return nil, false, fmt.Errorf("a cell is names in backquotes, all, or –; this is %q", cell)
}

func unique(rules []rule) error {
	seen := map[string]bool{}
	for _, r := range rules {
		if seen[r.subject] {
			return fmt.Errorf("%s has two rows", r.subject)
		}
		seen[r.subject] = true
	}
	return nil
}
