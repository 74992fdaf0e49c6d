package keyed

import (
	"testing"
)

func TestHostsAreDistinct(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range Names(100_000) {
		seen[name] = true
	}
	if len(seen) != 100_000 {
		t.Fatalf("%d of 100000 hosts", len(seen))
	}
}

func TestDrawsAreOfTheHosts(t *testing.T) {
	for name, draws := range map[string][]uint32{"uniform": Uniform(10, 1000, 1), "zipf": Zipf(10, 1000, 1)} {
		counts := map[uint32]int{}
		for _, d := range draws {
			if d >= 10 {
				t.Fatalf("%s: drew %d of 10", name, d)
			}
			counts[d]++
		}
		if len(draws) != 1000 || len(counts) < 9 {
			t.Fatalf("%s: %v", name, counts)
		}
		if name == "zipf" && counts[0] < 2*counts[4] {
			t.Fatalf("zipf: %v", counts)
		}
	}
}

func TestTheFloorCounts(t *testing.T) {
	f, err := NewFloor(100)
	if err != nil {
		t.Fatal(err)
	}
	f.Count(Uniform(100, 5000, 1))
	if got := f.Read(100 * 64); got != 5000 {
		t.Fatalf("counted %d of 5000", got)
	}
}

func TestPeersAdmit(t *testing.T) {
	peers, err := Peers(true)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range peers {
		for range 3 {
			if !p.Check("192.0.2.1") {
				t.Errorf("%s refuses", p.Name)
			}
		}
		p.Close()
	}
}
