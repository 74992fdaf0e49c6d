// Command subscribe prints what passes on a NATS subject, one line a message:
//
//	go run ./docs/examples/subscribe 'weir.up.>'
//
// It ends on an interrupt, or after -count messages.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/nats-io/nats.go"
)

func main() {
	url := flag.String("url", "nats://127.0.0.1:4222", "the NATS to listen to")
	count := flag.Int("count", 0, "end after so many messages; 0 is never")
	flag.Parse()
	subject := "weir.>"
	if flag.NArg() > 0 {
		subject = flag.Arg(0)
	}
	if err := subscribe(*url, subject, *count); err != nil {
		fmt.Fprintln(os.Stderr, "subscribe:", err)
		os.Exit(1)
	}
}

func subscribe(url, subject string, count int) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	conn, err := nats.Connect(url)
	if err != nil {
		return fmt.Errorf("%s: %w", url, err)
	}
	defer conn.Close()
	messages, err := conn.SubscribeSync(subject)
	if err != nil {
		return fmt.Errorf("%s: %w", subject, err)
	}
	if err := conn.Flush(); err != nil { // the server has it now: nothing is missed
		return err
	}
	fmt.Fprintln(os.Stderr, "listening on", subject)
	for n := 0; count == 0 || n < count; n++ {
		m, err := messages.NextMsgWithContext(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		fmt.Printf("%s  %s  %s\n", m.Subject, m.Header.Get("Weir-Host"), m.Data)
	}
	return nil
}
