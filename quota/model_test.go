package quota_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/weirgate/weir/quota"
)

// modelWindow is a fixed window told plainly.
type modelWindow struct {
	began bool
	start time.Time
	used  uint32
}

// take is whether a window of that policy admits a request now, charging it if
// asked to, and when the window ends.
func (w *modelWindow) take(now time.Time, p *quota.Policy, charge bool) quota.Decision {
	v := *w
	if !v.began || !now.Before(v.start.Add(p.Window)) {
		v = modelWindow{began: true, start: now}
	}
	if now.Before(v.start) {
		v.start = now
	}
	d := quota.Decision{Policy: p, Reset: v.start.Add(p.Window).Sub(now)}
	if v.used >= p.Quota {
		d.Refused = true
	} else if charge {
		v.used++
	}
	if charge || d.Refused {
		*w = v
	}
	d.Used = min(v.used, p.Quota)
	return d
}

// modelHosts is Hosts without bounds, in plain maps.
type modelHosts struct {
	windows           map[quota.Key]*[2]modelWindow
	requests, refused map[quota.Key]uint64 // since the report
}

func newModel() *modelHosts {
	m := &modelHosts{windows: map[quota.Key]*[2]modelWindow{}}
	m.startInterval()
	return m
}

func (m *modelHosts) startInterval() {
	m.requests, m.refused = map[quota.Key]uint64{}, map[quota.Key]uint64{}
}

func (m *modelHosts) window(k quota.Key, i int) *modelWindow {
	if m.windows[k] == nil {
		m.windows[k] = new([2]modelWindow)
	}
	return &m.windows[k][i]
}

func (m *modelHosts) count(k quota.Key, d quota.Decision) {
	m.requests[k]++
	if d.Refused {
		m.refused[k]++
	}
}

func TestHostsDoWhatPlainMapsDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newClock()
		cfg := config(c)
		cfg.MaxHosts = 4000
		h, err := quota.NewHosts(cfg)
		require.NoError(t, err)
		m := newModel()
		keys := rapid.Custom(func(t *rapid.T) quota.Key {
			return stranger(rapid.OneOf(rapid.IntRange(0, 3), rapid.IntRange(0, 40)).Draw(t, "host"))
		})
		t.Repeat(map[string]func(*rapid.T){
			"check": func(t *rapid.T) {
				k := keys.Draw(t, "k")
				want := m.window(k, 0).take(c.Now(), h.Policy(), true)
				require.Equal(t, want, h.Check(k, overHTTP))
				m.count(k, want)
			},
			"peek": func(t *rapid.T) {
				k := keys.Draw(t, "k")
				want := m.window(k, 0).take(c.Now(), h.Policy(), false)
				require.Equal(t, want, h.Peek(k, overHTTP))
				if want.Refused {
					m.count(k, want)
				}
			},
			"unverified": func(t *rapid.T) {
				k := keys.Draw(t, "k")
				want := m.window(k, 1).take(c.Now(), h.Policy(), true)
				require.Equal(t, want, h.CheckUnverified(k, overCoAP))
				m.count(k, want)
			},
			"discard": func(t *rapid.T) {
				k := keys.Draw(t, "k")
				h.Discard(k, overMQTT)
				m.count(k, quota.Decision{Refused: true})
			},
			"newcomers": func(t *rapid.T) {
				for i := range rapid.IntRange(1, 300).Draw(t, "n") {
					k := stranger(1000 + i)
					m.count(k, m.window(k, 0).take(c.Now(), h.Policy(), true))
					h.Check(k, overHTTP)
				}
			},
			"wait": func(t *rapid.T) {
				c.move(time.Duration(rapid.IntRange(0, 70_000).Draw(t, "ms")) * time.Millisecond)
			},
			"sweep": func(*rapid.T) { h.Sweep(); h.TellRecovered() },
			"reload": func(t *rapid.T) {
				cfg.Limit = rapid.Uint32Range(0, 6).Draw(t, "limit")
				cfg.Interval = time.Duration(rapid.IntRange(1, 60).Draw(t, "s")) * time.Second
				require.NoError(t, h.Reload(cfg))
			},
			"report": func(t *rapid.T) {
				r := h.Report(1000)
				got := newModel()
				for _, e := range r.Top {
					got.requests[e.Key] = e.Requests
					if e.Refused > 0 {
						got.refused[e.Key] = e.Refused
					}
				}
				if len(m.requests) <= 256 { // else some were forgotten and not the busiest
					require.Equal(t, m.requests, got.requests)
					require.Equal(t, m.refused, got.refused)
					require.EqualValues(t, len(m.requests), r.Hosts)
				}
				require.Equal(t, sum(m.requests), r.Requests)
				require.Equal(t, sum(m.refused), r.Refused)
				m.startInterval()
			},
			"": func(t *rapid.T) {
				require.LessOrEqual(t, h.Stats().Hosts, cfg.MaxHosts)
			},
		})
	})
}

func sum(counts map[quota.Key]uint64) (n uint64) {
	for _, c := range counts {
		n += c
	}
	return n
}

// Whatever else happens, in however small a table, who was told to wait is not
// admitted before, and is never told to wait longer than a window.
func TestWhoWasToldToWaitWaits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newClock()
		cfg := config(c)
		cfg.MaxHosts = rapid.IntRange(1, 40).Draw(t, "maxHosts")
		h, err := quota.NewHosts(cfg)
		require.NoError(t, err)
		until := map[quota.Key]time.Time{}
		for range rapid.IntRange(1, 500).Draw(t, "steps") {
			k := stranger(rapid.IntRange(0, 60).Draw(t, "host"))
			_, kept := h.Lookup(k)
			switch rapid.IntRange(0, 9).Draw(t, "op") {
			case 0:
				c.move(time.Duration(rapid.IntRange(0, 20).Draw(t, "s")) * time.Second)
			case 1:
				h.Discard(k, overHTTP)
			case 2:
				h.CheckUnverified(k, overCoAP)
			case 3:
				h.Sweep()
			default:
				d := h.Check(k, overHTTP)
				require.Positive(t, d.Reset)
				require.LessOrEqual(t, d.Reset, minute)
				require.LessOrEqual(t, d.Used, d.Policy.Quota)
				if !d.Refused {
					require.False(t, c.Now().Before(until[k]), "admitted before its time")
				} else if kept {
					until[k] = c.Now().Add(d.Wait())
				}
			}
			require.LessOrEqual(t, h.Stats().Hosts, cfg.MaxHosts)
		}
	})
}
