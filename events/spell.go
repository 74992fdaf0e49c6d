package events

import (
	"log/slog"
	"sync"
	"time"

	"github.com/weirgate/weir/quota"
)

// SpellData is the data of the exceeded and recovered events: a spell of
// exceeding, from the first refusal until one whole window passed without one.
type SpellData struct {
	Node       string    `json:"node"`
	Level      string    `json:"level"`            // whose quota: host, device …
	Key        string    `json:"key"`              // which of them: account/device …; "" for the system's
	Host       string    `json:"host,omitempty"`   // the key, where the level is host
	Shadow     bool      `json:"shadow,omitempty"` // the policy only watches: nothing was refused
	Policy     string    `json:"policy"`
	Used       uint32    `json:"used"`   // at the last refusal
	Quota      uint32    `json:"quota"`  // at the last refusal
	Window     float64   `json:"window"` // seconds
	Refused    uint64    `json:"refused"`
	Transports []string  `json:"transports"`
	Since      time.Time `json:"since"`
}

func (e *Events) tellSpell(t *quota.Transition) {
	d := &SpellData{
		Node: e.cfg.Node, Level: t.Policy.Level.String(), Key: clip(t.Name), Shadow: t.Shadow, Policy: t.Policy.Name, Used: t.Used, Quota: t.Quota,
		Window: t.Policy.Window.Seconds(), Refused: t.Refused,
		Transports: e.origins(t.Origins), Since: t.Since.UTC(),
	}
	if t.Policy.Level == quota.LevelHost {
		d.Host = t.Key.String()
		d.Key = d.Host
	}
	name, msg := Recovered, d.Level+" recovered from exceeding its quota"
	if t.Exceeded {
		name, msg = Exceeded, d.Level+" exceeds its quota"
	}
	if e.lines.take(e.cfg.Log, e.cfg.Now()) {
		e.cfg.Log.Info(msg, d.Level, d.Key, "policy", d.Policy, "used", d.Used, "quota", d.Quota,
			"refused", d.Refused, "transports", d.Transports, "since", d.Since)
	}
	e.publish(name, t.At, d)
}

// maxLines is how many spells are logged a minute: with a /32 of IPv6, anybody
// can begin any number of them.
const maxLines = 60

// lineBudget holds the lines of spells to maxLines a minute.
type lineBudget struct {
	mu     sync.Mutex // guards what follows
	minute time.Time  // when the minute began
	told   int
	left   uint64 // not told in this minute
}

// take tells whether one more line may be logged now, and, when a minute is
// over, says how many were left out in it.
func (b *lineBudget) take(log *slog.Logger, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if age := now.Sub(b.minute); age >= time.Minute || age < 0 {
		if b.left > 0 {
			log.Info("spells of exceeding were not logged, to spare the log", "count", b.left)
		}
		b.minute, b.told, b.left = now, 0, 0
	}
	if b.told >= maxLines {
		b.left++
		return false
	}
	b.told++
	return true
}
