package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/weirgate/weir/bench/internal/load"
	"github.com/weirgate/weir/bench/internal/proc"
)

// cpuCase is a server under one protocol's load, whose processor time an
// operation is the sample.
type cpuCase struct {
	command  proc.Command
	addr     func(*proc.Server) netip.AddrPort
	devices  int
	dial     func(netip.AddrPort) load.Dialer
	warm     time.Duration
	announce string // how its command line is told
	// admitted, if set, is how many requests the server itself says it took.
	admitted func(*proc.Server) (int, error)
}

// atOnce is patience with a server that keeps nobody waiting: what it has not
// answered by then was dropped from its receive buffer.
const atOnce = 200 * time.Millisecond

// cost starts the server fresh and measures it.
func (b *bench) cost(c cpuCase) (sample, error) {
	b.say("  %s: %s", c.announce, c.command)
	server, err := proc.Start(b.core, c.command)
	if err != nil {
		return 0, err
	}
	defer server.Stop()
	fleet, err := load.NewFleet(atOnce)
	if err != nil {
		return 0, err
	}
	defer fleet.Close()
	if err := fleet.Add(c.devices, c.dial(c.addr(server))); err != nil {
		return 0, fmt.Errorf("%w\n%s", err, server.Log())
	}
	var warm load.Counts
	if c.warm > 0 { // else the first burst is part of what is measured
		if warm, err = fleet.Run(c.warm); err != nil {
			return 0, fmt.Errorf("%w\n%s", err, server.Log())
		}
	}
	cost, answered, err := b.costOf(server, fleet)
	if err != nil || c.admitted == nil {
		return cost, err
	}
	admitted, err := c.admitted(server)
	if err == nil && admitted < warm.Answered+answered {
		err = fmt.Errorf("%d requests were answered and %d admitted: something else was measured",
			warm.Answered+answered, admitted)
	}
	return cost, err
}

// costOf is the cost of an operation in microseconds over one window, and how
// many there were.
func (b *bench) costOf(server *proc.Server, fleet *load.Fleet) (cost sample, answered int, err error) {
	before, err := server.CPU()
	if err != nil {
		return 0, 0, err
	}
	counts, err := fleet.Run(b.window)
	if err != nil {
		return 0, 0, fmt.Errorf("%w\n%s", err, server.Log())
	}
	after, err := server.CPU()
	if err != nil {
		return 0, 0, err
	}
	if counts.Answered == 0 {
		return 0, 0, fmt.Errorf("nothing was answered\n%s", server.Log())
	}
	used := after - before
	cost = sample(float64(used.Nanoseconds()) / 1e3 / float64(counts.Answered))
	b.say("    %.2f µs; %.0f/s, %.0f %% of the core, %d unanswered windows",
		cost, counts.PerSecond(), 100*used.Seconds()/counts.Elapsed.Seconds(), counts.Lost)
	return cost, counts.Answered, nil
}

// weirConfig is Weir with its host quota on and out of the way, every listener
// on a free port.
const weirConfig = `quota:
  host: {enabled: true, limit: 1000000000, whitelist: "", blacklist: ""}
transports:
  http: {listen: "127.0.0.1:0"}
  mqtt: {listen: "127.0.0.1:0"}
  coap: {listen: "127.0.0.1:0"}
devices: {auth: open}
nats: {embedded: {listen: "127.0.0.1:0", dir: %q, sync: always}}
control: {listen: "127.0.0.1:0"}
`

// config writes a Weir configuration whose data goes to a new folder.
func (b *bench) config() (file string, err error) {
	dir, err := b.folder()
	if err != nil {
		return "", err
	}
	file = filepath.Join(dir, "weir.yaml")
	return file, os.WriteFile(file, fmt.Appendf(nil, weirConfig, filepath.Join(dir, "data")), 0o600)
}

// weirCost is the cost of c's operation in Weir without its store; protocol is
// the name under which Weir announces the address.
func (b *bench) weirCost(c cpuCase, protocol string) (sample, error) {
	file, err := b.config()
	if err != nil {
		return 0, err
	}
	c.announce = "weir"
	c.command = proc.Command{
		Args:      []string{b.self, peerVerb, "weir", "-config", file},
		Announces: []string{protocol, "control"},
	}
	c.admitted = func(s *proc.Server) (int, error) { return admitted(s.Addr("control"), protocol) }
	c.addr = func(s *proc.Server) netip.AddrPort { return s.Addr(protocol) }
	return b.cost(c)
}

const (
	httpConnections = 64
	mqttConnections = 50
	mqttWindow      = 16
	coapPeers       = 1000
)

func httpScenario() scenario {
	c := cpuCase{devices: httpConnections, dial: func(a netip.AddrPort) load.Dialer { return load.HTTP(a, 0) }}
	return scenario{
		name: "http", title: "CPU per HTTP POST of 100 B on 64 connections, all but the store, beside a bare gin handler",
		unit: "× gin", sampleUnit: "µs", must: must{bound: 1.4},
		weir: func(_ context.Context, b *bench) (sample, error) {
			c.warm = b.warm
			return b.weirCost(c, "http")
		},
		peer: func(_ context.Context, b *bench) (sample, error) {
			c.warm, c.announce = b.warm, "peer"
			c.command = proc.Command{Args: []string{b.self, peerVerb, "gin"}, Announces: []string{"http"}}
			c.addr = func(s *proc.Server) netip.AddrPort { return s.Addr("http") }
			return b.cost(c)
		},
	}
}

// Neither server is warmed up: libcoap's costs more the longer it has run, and
// is given its best.
func coapScenario() scenario {
	same := func(int) string { return load.Token(0) }
	c := cpuCase{devices: coapPeers, dial: func(a netip.AddrPort) load.Dialer { return load.CoAP(a, same) }}
	return scenario{
		name: "coap", title: "CPU per confirmable CoAP POST of 50 B from 1000 peers, all but the store, beside libcoap's server",
		unit: "× libcoap", sampleUnit: "µs", must: must{bound: 0.6},
		weir: func(_ context.Context, b *bench) (sample, error) { return b.weirCost(c, "coap") },
		peer: func(_ context.Context, b *bench) (sample, error) {
			addr, err := proc.FreePort("udp")
			if err != nil {
				return 0, err
			}
			c.announce = "peer"
			c.command = proc.Command{
				Args: []string{"coap-server-notls", "-A", addr.Addr().String(), "-p", fmt.Sprint(addr.Port()),
					"-d", "100", "-v", "0"},
				Ready: proc.Pongs(addr),
			}
			c.addr = func(*proc.Server) netip.AddrPort { return addr }
			return b.cost(c)
		},
	}
}

// mosquittoConfig takes away mosquitto's own bounds.
const mosquittoConfig = `listener %d %s
allow_anonymous true
persistence false
max_inflight_messages 0
max_connections -1
set_tcp_nodelay true
log_type error
`

func mqttScenario() scenario {
	c := cpuCase{devices: mqttConnections, dial: func(a netip.AddrPort) load.Dialer { return load.MQTT(a, 0, mqttWindow) }}
	return scenario{
		name: "mqtt", title: "CPU per QoS 1 PUBLISH of 100 B, 50 clients with 16 in flight, all but the store, beside mosquitto",
		unit: "× mosquitto", sampleUnit: "µs", must: must{bound: 0.6},
		weir: func(_ context.Context, b *bench) (sample, error) {
			c.warm = b.warm
			return b.weirCost(c, "mqtt")
		},
		peer: func(_ context.Context, b *bench) (sample, error) { return b.mosquittoCost(c) },
	}
}

func (b *bench) mosquittoCost(c cpuCase) (sample, error) {
	addr, err := proc.FreePort("tcp")
	if err != nil {
		return 0, err
	}
	text := fmt.Sprintf(mosquittoConfig, addr.Port(), addr.Addr())
	file := filepath.Join(b.dir, "mosquitto.conf")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return 0, err
	}
	b.say("  %s holds:\n%s", file, text)
	c.warm, c.announce = b.warm, "peer"
	c.command = proc.Command{Args: []string{"mosquitto", "-c", file}, Ready: proc.Accepts(addr)}
	c.addr = func(*proc.Server) netip.AddrPort { return addr }
	return b.cost(c)
}
