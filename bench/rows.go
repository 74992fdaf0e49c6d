package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
)

// noise is how far from its bound a figure may be on a machine that also does
// other things.
const noise = 1.15

// Row is one measured case.
type Row struct {
	Case   string  `json:"case"`
	Figure float64 `json:"figure"` // median of the rounds' ratios, Weir ÷ peer
	Unit   string  `json:"unit"`   // what the ratio is of
	Must   string  `json:"must"`
	OK     bool    `json:"ok"` // with the noise allowed for
	Detail string  `json:"detail"`
	Fault  string  `json:"fault,omitempty"` // why there is no figure
}

// must is the bound of a ratio.
type must struct {
	bound   float64
	atLeast bool
}

func (m must) String() string {
	if m.atLeast {
		return fmt.Sprintf("≥ %.2f", m.bound)
	}
	return fmt.Sprintf("≤ %.2f", m.bound)
}

func (m must) holds(figure float64) bool {
	if m.atLeast {
		return figure >= m.bound/noise
	}
	return figure <= m.bound*noise
}

// printRows writes a table, or JSON.
func printRows(w io.Writer, rows []Row, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(rows)
	}
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "case\tfigure\tunit\tmust\tok\t")
	for _, r := range rows {
		figure, ok := fmt.Sprintf("%.2f", r.Figure), "yes"
		if r.Fault != "" {
			figure = "–"
		}
		if !r.OK {
			ok = "NO"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s%s\n", r.Case, figure, r.Unit, r.Must, ok, r.Detail, r.Fault)
	}
	return t.Flush()
}

// verdict is an error if a row is not as it must be.
func verdict(rows []Row) error {
	for _, r := range rows {
		if !r.OK {
			return errors.New("not every figure is as it must be")
		}
	}
	return nil
}
