package main

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// admitted is how many requests of a transport a Weir has admitted, as its
// metrics say.
func admitted(control netip.AddrPort, transport string) (int, error) {
	client := http.Client{Timeout: 5 * time.Second}
	answer, err := client.Get("http://" + control.String() + "/metrics")
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	series := fmt.Sprintf("weir_requests_total{transport=%q,verdict=\"admitted\"} ", transport)
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		if value, found := strings.CutPrefix(lines.Text(), series); found {
			n, err := strconv.ParseFloat(value, 64)
			return int(n), err
		}
	}
	return 0, errors.Join(fmt.Errorf("%s/metrics has no %s", control, series), lines.Err())
}
