package peer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

// AtomicConfig is how bare atomic batches are measured.
type AtomicConfig struct {
	Dir      string        // where JetStream keeps its files; empty and on a disk
	Duration time.Duration // how long to publish
	Batch    int           // messages a batch
	Payload  []byte
}

// AtomicResult is what Atomic prints, as JSON.
type AtomicResult struct {
	PerSecond float64
}

// Atomic publishes atomic batches, one after the other, to an embedded NATS that
// fsyncs each, and writes the rate to out: what JetStream itself can take.
func Atomic(ctx context.Context, cfg *AtomicConfig, out io.Writer) error {
	ns, err := server.NewServer(&server.Options{
		DontListen: true, JetStream: true, StoreDir: cfg.Dir, SyncAlways: true, NoSigs: true, NoLog: true,
	})
	if err != nil {
		return err
	}
	ns.Start()
	defer func() { ns.Shutdown(); ns.WaitForShutdown() }()
	if !ns.ReadyForConnections(10 * time.Second) {
		return errors.New("the embedded NATS did not start in 10 s")
	}
	nc, err := nats.Connect("", nats.InProcessServer(ns))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{
		Name: "BENCH", Subjects: []string{"bench.>"}, AllowAtomicPublish: true,
	}); err != nil {
		return err
	}
	rate, err := publishBatches(ctx, nc, cfg)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(AtomicResult{rate})
}

// publishBatches is the rate, in messages a second.
func publishBatches(ctx context.Context, nc *nats.Conn, cfg *AtomicConfig) (float64, error) {
	n := 0
	start := time.Now()
	for ctx.Err() == nil && time.Since(start) < cfg.Duration {
		if err := publishBatch(nc, cfg); err != nil {
			return 0, err
		}
		n += cfg.Batch
	}
	return float64(n) / time.Since(start).Seconds(), ctx.Err()
}

// publishBatch sends a batch and waits until it is stored. The last message
// commits it, and its answer counts all of it.
func publishBatch(nc *nats.Conn, cfg *AtomicConfig) error {
	m := nats.Msg{Subject: "bench.telemetry", Data: cfg.Payload, Header: nats.Header{
		"Nats-Batch-Id": {nuid.Next()}, "Nats-Batch-Sequence": {""},
	}}
	for i := 1; i < cfg.Batch; i++ {
		m.Header["Nats-Batch-Sequence"][0] = strconv.Itoa(i)
		if err := nc.PublishMsg(&m); err != nil {
			return err
		}
	}
	m.Header["Nats-Batch-Sequence"][0] = strconv.Itoa(cfg.Batch)
	m.Header["Nats-Batch-Commit"] = []string{"1"}
	answer, err := nc.RequestMsg(&m, 10*time.Second)
	if err != nil {
		return err
	}
	var ack struct {
		Count int             `json:"count"`
		Error json.RawMessage `json:"error"`
	}
	if err := json.Unmarshal(answer.Data, &ack); err != nil {
		return err
	}
	if ack.Count != cfg.Batch {
		return fmt.Errorf("a batch of %d was answered %s", cfg.Batch, answer.Data)
	}
	return nil
}
