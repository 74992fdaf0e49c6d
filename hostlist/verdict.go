package hostlist

// Verdict is what the lists say of a host. The zero Verdict is Neutral.
type Verdict uint8

// The verdicts.
const (
	Neutral Verdict = iota // on no list: counted
	Allowed                // on the white list: not counted
	Denied                 // on the black list: discarded
)

var verdictNames = [...]string{Neutral: "neutral", Allowed: "allowed", Denied: "denied"}

func (v Verdict) String() string {
	if int(v) < len(verdictNames) {
		return verdictNames[v]
	}
	return "unknown"
}
