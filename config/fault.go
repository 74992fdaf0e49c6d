package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Fault is one thing that an operator has to mend.
type Fault struct {
	// Place is where it was written: "weir.yaml:12", "environment WEIR_…",
	// DefaultPlace, or the file's name alone where no line is to blame.
	Place string
	// Path is the key, such as "quota.host.whitelist[1]"; "" for the file as a
	// whole.
	Path string
	// Problem is what is wrong and what was expected, in one line and without
	// secrets.
	Problem string
}

// String is the fault in one line: place, path and problem.
func (f Fault) String() string {
	if f.Path == "" {
		return f.Place + ": " + f.Problem
	}
	return f.Place + ": " + f.Path + ": " + f.Problem
}

// FaultsError is every fault of a configuration, sorted: the file's by line,
// then the environment's, then those of defaults. There is at least one.
type FaultsError struct {
	Faults []Fault
	// Rest is what could be read, with defaults in the place of what could not,
	// so that rooms can look for more faults in it; nil if nothing could.
	Rest *Loaded
}

// maxFaultLines bounds how many faults are told at once.
const maxFaultLines = 100

// Error is a line for each fault, at most maxFaultLines and how many more.
func (e *FaultsError) Error() string {
	var b strings.Builder
	for i, f := range e.Faults {
		if i == maxFaultLines {
			fmt.Fprintf(&b, "\n… and %d more", len(e.Faults)-i)
			break
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(f.String())
	}
	return b.String()
}

// NewFaultsError is a *FaultsError of faults in order, for faults gathered from
// several rooms; nil if there are none.
func NewFaultsError(faults []Fault) error {
	if len(faults) == 0 {
		return nil
	}
	sorted := slices.Clone(faults)
	slices.SortStableFunc(sorted, func(a, b Fault) int { return rank(a.Place) - rank(b.Place) })
	return &FaultsError{Faults: sorted}
}

// Ranks of places that have no line.
const (
	rankEnvironment = 1 << 30
	rankDefault     = rankEnvironment + 1
)

// rank orders places; a file as a whole is its line 0.
func rank(place string) int {
	switch {
	case place == DefaultPlace:
		return rankDefault
	case strings.HasPrefix(place, environmentPlace):
		return rankEnvironment
	}
	line, err := strconv.Atoi(place[strings.LastIndexByte(place, ':')+1:])
	if err != nil || line < 0 || line >= rankEnvironment {
		return 0
	}
	return line
}
