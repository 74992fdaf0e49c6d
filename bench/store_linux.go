package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/weirgate/weir/bench/internal/load"
	"github.com/weirgate/weir/bench/internal/peer"
	"github.com/weirgate/weir/bench/internal/proc"
)

// The 200 clients of the store case.
const (
	storeHTTP = 67
	storeCoAP = 67
	storeMQTT = 66
)

func storeScenario() scenario {
	return scenario{
		name:  "store",
		title: "stored with fsync a second: 200 clients of Weir (67 HTTP, 67 CoAP, 66 MQTT with 16 in flight) beside bare atomic batches of 1000",
		unit:  "× bare batches", sampleUnit: "/s", must: must{bound: 0.4, atLeast: true},
		weir: func(ctx context.Context, b *bench) (sample, error) { return b.weirStores(ctx) },
		peer: func(ctx context.Context, b *bench) (sample, error) { return b.batches(ctx) },
	}
}

// storePatience is longer than Weir waits for its store before it refuses (10 s).
const storePatience = 12 * time.Second

// storeWindow is longer than that of a cost: a rate of fsyncs varies more.
func (b *bench) storeWindow() time.Duration { return 2 * b.window }

// batches is what JetStream takes with nothing before it.
func (b *bench) batches(ctx context.Context) (sample, error) {
	dir, err := b.folder()
	if err != nil {
		return 0, err
	}
	args := []string{b.self, peerVerb, "atomic", "-dir", dir, "-for", b.storeWindow().String()}
	b.say("  peer: %s", proc.Command{Args: args})
	out, err := exec.CommandContext(ctx, b.self, append([]string{proc.PinVerb, strconv.Itoa(b.core)}, args...)...).Output()
	if err != nil {
		return 0, fmt.Errorf("bare batches: %w", err)
	}
	var result peer.AtomicResult
	if err := json.Unmarshal(out, &result); err != nil {
		return 0, err
	}
	return sample(result.PerSecond), nil
}

// weirStores is how many messages a second the real binary acknowledges; what it
// has acknowledged, it must have stored.
func (b *bench) weirStores(ctx context.Context) (sample, error) {
	file, err := b.config()
	if err != nil {
		return 0, err
	}
	cost, err := fsyncCost(b.dir)
	if err != nil {
		return 0, err
	}
	command := proc.Command{
		Args:      []string{b.weir, "serve", "--config", file},
		Announces: []string{"http", "mqtt", "coap", "nats"},
	}
	b.say("  weir: %s; an fsync there costs %v", command, cost.Round(time.Microsecond))
	server, err := proc.Start(b.core, command)
	if err != nil {
		return 0, err
	}
	defer server.Stop()
	rate, answered, err := b.mixedRate(server)
	if err != nil {
		return 0, fmt.Errorf("%w\n%s", err, server.Log())
	}
	return rate, b.stored(ctx, server, answered)
}

// mixedRate puts the 200 clients to work.
func (b *bench) mixedRate(server *proc.Server) (rate sample, answered int, err error) {
	fleet, err := load.NewFleet(storePatience)
	if err != nil {
		return 0, 0, err
	}
	defer fleet.Close()
	coapToken := func(i int) string { return load.Token(storeHTTP + i) }
	for _, group := range []struct {
		n    int
		dial load.Dialer
	}{
		{storeHTTP, load.HTTP(server.Addr("http"), 0)},
		{storeCoAP, load.CoAP(server.Addr("coap"), coapToken)},
		{storeMQTT, load.MQTT(server.Addr("mqtt"), storeHTTP+storeCoAP, mqttWindow)},
	} {
		if err := fleet.Add(group.n, group.dial); err != nil {
			return 0, 0, err
		}
	}
	warm, err := fleet.Run(b.warm)
	if err != nil {
		return 0, 0, err
	}
	counts, err := fleet.Run(b.storeWindow())
	if err != nil {
		return 0, 0, err
	}
	b.say("    %.0f acknowledged/s, %d unanswered windows", counts.PerSecond(), counts.Lost)
	return sample(counts.PerSecond()), warm.Answered + counts.Answered, nil
}

// stored is an error if the stream holds fewer messages than were acknowledged.
func (b *bench) stored(ctx context.Context, server *proc.Server, acknowledged int) error {
	nc, err := nats.Connect("nats://" + server.Addr("nats").String())
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	stream, err := js.Stream(ctx, "WEIR_UP")
	if err != nil {
		return err
	}
	if n := stream.CachedInfo().State.Msgs; n < uint64(acknowledged) {
		return fmt.Errorf("%d messages were acknowledged and %d are stored", acknowledged, n)
	}
	return nil
}
