package transports

import (
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// badPayload says what is wrong with a payload of a kind, "" if nothing is.
// Telemetry is a JSON object or an array of objects, attributes are an object
// (ThingsBoard's device API); both are UTF-8 (RFC 8259 8.1).
func badPayload(k Kind, p []byte) string {
	if len(p) == 0 {
		return "the payload is empty; expected a JSON object"
	}
	if !utf8.Valid(p) {
		return "the payload is not UTF-8"
	}
	if !gjson.ValidBytes(p) {
		return "the payload is not JSON"
	}
	switch first := firstByte(p); {
	case first == '{':
		return ""
	case k == Telemetry && first == '[':
		return badBatch(p)
	case k == Telemetry:
		return "expected a JSON object or an array of objects"
	}
	return "expected a JSON object"
}

// firstByte is the first byte of p that is no JSON white space.
func firstByte(p []byte) byte {
	for _, c := range p {
		if c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			return c
		}
	}
	return 0
}

func badBatch(p []byte) string {
	problem := ""
	gjson.ParseBytes(p).ForEach(func(_, v gjson.Result) bool {
		if !v.IsObject() {
			problem = "expected an array of JSON objects"
		}
		return problem == ""
	})
	return problem
}

// Messages is how many messages a payload of a kind holds, for its cost: the
// items of an array of telemetry, else 1.
func Messages(k Kind, p []byte) int {
	if k != Telemetry || firstByte(p) != '[' || !gjson.ValidBytes(p) {
		return 1
	}
	n := 0
	gjson.ParseBytes(p).ForEach(func(_, _ gjson.Result) bool { n++; return true })
	return max(n, 1)
}
