package quota_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/quota"
)

func TestEveryNameIsReadBack(t *testing.T) {
	for name, parse := range map[string]func(string) (fmt.Stringer, error){
		"host system account device client custom": func(s string) (fmt.Stringer, error) { return quota.ParseLevel(s) },
		"total connects messages reads":            func(s string) (fmt.Stringer, error) { return quota.ParseClass(s) },
		"fixed clock sliding token":                func(s string) (fmt.Stringer, error) { return quota.ParseKind(s) },
		"enforce shadow":                           func(s string) (fmt.Stringer, error) { return quota.ParseMode(s) },
		"standard thingsboard bandwidth":           func(s string) (fmt.Stringer, error) { return quota.ParseProfile(s) },
	} {
		var s string
		for rest := name; rest != ""; {
			n, _ := fmt.Sscan(rest, &s)
			require.Equal(t, 1, n)
			rest = rest[min(len(rest), len(s)+1):]
			v, err := parse(s)
			require.NoError(t, err)
			require.Equal(t, s, v.String())
		}
		_, err := parse("planet")
		require.ErrorContains(t, err, s, "it names what it expected")
		_, err = parse("")
		require.Error(t, err)
	}
	require.Equal(t, "unknown", quota.Level(99).String())
	require.Equal(t, "unknown", quota.Kind(99).String())
}
