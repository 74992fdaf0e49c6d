package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestMust(t *testing.T) {
	tests := []struct {
		name   string
		must   must
		figure float64
		holds  bool
	}{
		{name: "under an upper bound", must: must{bound: 1.4}, figure: 1.39, holds: true},
		{name: "over it by noise", must: must{bound: 1.4}, figure: 1.6, holds: true},
		{name: "over it", must: must{bound: 1.4}, figure: 1.62},
		{name: "over a lower bound", must: must{0.4, true}, figure: 0.5, holds: true},
		{name: "under it by noise", must: must{0.4, true}, figure: 0.35, holds: true},
		{name: "under it", must: must{0.4, true}, figure: 0.34},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.must.holds(tt.figure) != tt.holds {
				t.Fatalf("%v of %v: %v", tt.must, tt.figure, !tt.holds)
			}
		})
	}
}

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		values []float64
		want   float64
	}{{[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 2, 9}, 3}} {
		if got := median(tt.values); got != tt.want {
			t.Errorf("median of %v: %v, want %v", tt.values, got, tt.want)
		}
	}
}

func TestRowsAreTold(t *testing.T) {
	rows := []Row{
		{Case: "http", Figure: 1.234, Unit: "× gin", Must: "≤ 1.40", OK: true, Detail: "12 ÷ 10 µs"},
		{Case: "mqtt", Unit: "× mosquitto", Must: "≤ 0.60", Fault: "mosquitto is not installed"},
	}
	var table, document bytes.Buffer
	if err := printRows(&table, rows, false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1.23", "yes", "NO", "mosquitto is not installed"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, table.String())
		}
	}
	if err := printRows(&document, rows, true); err != nil {
		t.Fatal(err)
	}
	var back []Row
	if err := json.Unmarshal(document.Bytes(), &back); err != nil || len(back) != 2 || back[0] != rows[0] {
		t.Errorf("JSON gives back %v, %v", back, err)
	}
	if verdict(rows) == nil || verdict(rows[:1]) != nil {
		t.Error("the verdict is not that of the rows")
	}
}
