package peer_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/weirgate/weir/bench/internal/peer"
)

// Batches are accepted by the NATS that is embedded, and their rate is told.
func TestAtomic(t *testing.T) {
	var out bytes.Buffer
	err := peer.Atomic(t.Context(), &peer.AtomicConfig{
		Dir: t.TempDir(), Duration: 50 * time.Millisecond, Batch: 100, Payload: []byte("x"),
	}, &out)
	if err != nil {
		t.Fatal(err)
	}
	var r peer.AtomicResult
	if err := json.Unmarshal(out.Bytes(), &r); err != nil || r.PerSecond <= 0 {
		t.Fatalf("result %q, %v", out.String(), err)
	}
}
