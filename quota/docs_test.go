package quota_test

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/quota"
)

// drawing is what a quota of 10 in 10 seconds admits, second by second, of a
// device that asks three times a second for 13 seconds, rests for 7, and asks
// again for 13.
func drawing(t *testing.T) string {
	const seconds = 33
	asks := func(second int) bool { return second < 13 || second >= 20 }
	line := func(name string, count func(second int) int) string {
		var b strings.Builder
		b.WriteString(name + strings.Repeat(" ", 9-len(name)))
		for s := range seconds {
			b.WriteString(" " + strings.Replace(strconv.Itoa(count(s)), "0", ".", 1))
		}
		return b.String() + "\n"
	}
	text := line("asked", func(s int) int {
		if asks(s) {
			return 3
		}
		return 0
	})
	for _, kind := range []quota.Kind{quota.KindFixed, quota.KindClock, quota.KindSliding, quota.KindToken} {
		c := newClock()
		c.move(4 * time.Second) // into the minute
		e := engineOf(t, c, quota.PolicyConfig{
			Name: "p", Level: quota.LevelDevice, Kind: kind, Buckets: []quota.Bucket{{Quota: 10, Window: 10 * time.Second}},
		})
		text += line(kind.String(), func(s int) int {
			admitted := 0
			for range 3 {
				if asks(s) {
					admitted += through(e, request("pump", quota.Messages), 1)
				}
				c.move(333 * time.Millisecond)
			}
			c.move(time.Millisecond)
			return admitted
		})
	}
	return text
}

func TestThePageDrawsWhatTheEngineDoes(t *testing.T) {
	page, err := os.ReadFile("../docs/quota.md")
	require.NoError(t, err)
	require.Contains(t, string(page), drawing(t))
}
