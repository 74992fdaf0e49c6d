package quota_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/weirgate/weir/quota"
)

// admission is one that a model remembers.
type admission struct {
	at   time.Duration // since the begin
	cost uint32
}

// ledger is a plain model of one key under one bucket: all that was admitted.
type ledger struct {
	quota  uint32
	window time.Duration
	all    []admission
}

// within is the cost of what was admitted in the time before now.
func (l *ledger) within(now, span time.Duration) uint32 {
	n := uint32(0)
	for _, a := range l.all {
		if a.at > now-span && a.at <= now {
			n += a.cost
		}
	}
	return n
}

// models say whether a kind has to admit (yes), has to refuse, or may do either.
var models = map[quota.Kind]func(l *ledger, now time.Duration, cost uint32) (may, must bool){
	quota.KindFixed: func(l *ledger, now time.Duration, cost uint32) (may, must bool) {
		start, used := -l.window, uint32(0)
		for _, a := range l.all {
			if a.at-start >= l.window {
				start, used = a.at, 0
			}
			used += a.cost
		}
		if now-start >= l.window {
			used = 0
		}
		fits := used+cost <= l.quota
		return fits, fits
	},
	quota.KindClock: func(l *ledger, now time.Duration, cost uint32) (may, must bool) {
		since := func(d time.Duration) time.Duration { // the clock begins at a full hour
			return d / l.window
		}
		used := uint32(0)
		for _, a := range l.all {
			if since(a.at) == since(now) {
				used += a.cost
			}
		}
		return used+cost <= l.quota, used+cost <= l.quota
	},
	quota.KindSliding: func(l *ledger, now time.Duration, cost uint32) (may, must bool) {
		grain := (l.window + 9*time.Millisecond) / 10 / time.Millisecond * time.Millisecond
		return l.within(now, l.window)+cost <= l.quota, l.within(now, l.window+grain)+cost <= l.quota
	},
	quota.KindToken: func(l *ledger, now time.Duration, cost uint32) (may, must bool) {
		debt, last := uint64(0), time.Duration(0) // in tokens times milliseconds
		drain := func(to time.Duration) {
			debt -= min(debt, uint64((to-last)/time.Millisecond)*uint64(l.quota))
			last = to
		}
		for _, a := range l.all {
			drain(a.at)
			debt += uint64(a.cost) * uint64(l.window/time.Millisecond)
		}
		drain(now)
		fits := debt+uint64(cost)*uint64(l.window/time.Millisecond) <= uint64(l.quota)*uint64(l.window/time.Millisecond)
		return fits, fits
	},
}

// windows divide an hour, at which the clock begins.
var windows = []time.Duration{100 * time.Millisecond, time.Second, 10 * time.Second, time.Minute, time.Hour}

func TestEveryKindDoesWhatItsModelDoes(t *testing.T) {
	for kind, model := range models {
		t.Run(kind.String(), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				c := newClock()
				begin := c.Now()
				spans := windows
				if kind != quota.KindClock { // which the model would have to align
					spans = append(spans[:len(spans):len(spans)], 137*time.Millisecond, 7*time.Second+time.Millisecond)
				}
				l := &ledger{
					quota:  rapid.Uint32Range(1, 40).Draw(t, "quota"),
					window: rapid.SampledFrom(spans).Draw(t, "window"),
				}
				e := engineOf(t, c, quota.PolicyConfig{
					Name: "p", Level: quota.LevelDevice, Kind: kind, Class: quota.Messages,
					Buckets: []quota.Bucket{{Quota: l.quota, Window: l.window}},
				})
				for range rapid.IntRange(1, 80).Draw(t, "requests") {
					span := int(l.window / time.Millisecond)
					step := rapid.OneOf(rapid.Just(0), rapid.IntRange(0, span/8), rapid.IntRange(0, span*5/4)).Draw(t, "step")
					c.move(time.Duration(step) * time.Millisecond)
					now := c.Now().Sub(begin)
					cost := rapid.Uint32Range(1, min(l.quota, 4)).Draw(t, "cost")
					may, must := model(l, now, cost)
					st, refused := charge(e, messages("pump", cost))
					require.False(t, !refused && !may, "admitted too much at %v", now)
					require.False(t, refused && must, "refused at %v what fits: %+v", now, st.Decision)
					require.LessOrEqual(t, st.Used, l.quota)
					require.LessOrEqual(t, st.Reset, l.window)
					if !refused {
						l.all = append(l.all, admission{now, cost})
						continue
					}
					require.Positive(t, st.Wait())
					if rapid.Bool().Draw(t, "patient") { // the wait told is enough
						c.move(st.Wait())
						_, refused = charge(e, messages("pump", cost))
						require.False(t, refused, "refused after the wait of %v", st.Wait())
						l.all = append(l.all, admission{c.Now().Sub(begin), cost})
					}
				}
			})
		})
	}
}

func TestASlidingWindowIsExactForThoseWhoDoNotHurry(t *testing.T) {
	c := newClock()
	c.move(537 * time.Millisecond)
	e := engineOf(t, c, quota.PolicyConfig{
		Name: "bandwidth", Level: quota.LevelDevice, Kind: quota.KindSliding,
		Buckets: []quota.Bucket{{Quota: 1, Window: time.Second, Sample: 10 * time.Second}},
	})
	for range 100 { // one a second, for ever
		_, refused := charge(e, messages("pump", 1))
		require.False(t, refused)
		c.move(time.Second)
	}
	c.move(10 * time.Second)
	for range 10 { // or ten at once
		_, refused := charge(e, messages("pump", 1))
		require.False(t, refused)
	}
	st, refused := charge(e, messages("pump", 1))
	require.True(t, refused)
	require.Equal(t, 10*time.Second, st.Wait())
}

func TestAKeysClockThatJumpsHarmsNobodyForLongerThanAWindow(t *testing.T) {
	for kind := range models {
		for name, jump := range map[string]time.Duration{
			"an hour back": -time.Hour, "a day forward": 24 * time.Hour, "a year back": -365 * 24 * time.Hour,
			"to 1970": -56 * 365 * 24 * time.Hour, "a second back": -time.Second, "ten years forward": 10 * 365 * 24 * time.Hour,
		} {
			t.Run(kind.String()+" "+name, func(t *testing.T) {
				c := newClock()
				e := engineOf(t, c, quota.PolicyConfig{
					Name: "p", Level: quota.LevelDevice, Kind: kind, Buckets: []quota.Bucket{{Quota: 3, Window: minute}},
				})
				for range 4 {
					charge(e, messages("pump", 1))
				}
				c.move(jump)
				st, refused := charge(e, messages("pump", 1))
				require.LessOrEqual(t, st.Wait(), minute+minute/10)
				if refused && jump < -time.Minute {
					e.Sweep()
					_, refused = charge(e, messages("pump", 1))
					require.True(t, refused, "a jump back must not free anybody")
				}
				c.move(minute + minute/10)
				_, refused = charge(e, messages("pump", 1))
				require.False(t, refused, "a window after the jump")
			})
		}
	}
}
