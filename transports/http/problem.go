package http

import (
	"encoding/json"
	"strconv"

	"github.com/weirgate/weir/transports"
)

// quotaExceeded is the problem type that draft-ietf-httpapi-ratelimit-headers
// registers.
const quotaExceeded = "https://iana.org/assignments/http-problem-types#quota-exceeded"

// problem is an RFC 9457 problem. Without a refusal its type is about:blank, of
// which the title is the status's phrase (4.2.1).
type problem struct {
	status        int
	title, detail string
	refusal       *transports.Refusal // a quota's, for the members of its type
}

// appendProblem appends p's JSON.
func appendProblem(b []byte, p problem) []byte {
	typ := "about:blank"
	if p.refusal != nil {
		typ = quotaExceeded
	}
	b = append(b, `{"type":"`...)
	b = append(b, typ...)
	b = append(b, `","title":`...)
	b = appendString(b, p.title)
	b = append(b, `,"status":`...)
	b = strconv.AppendInt(b, int64(p.status), 10)
	b = append(b, `,"detail":`...)
	b = appendString(b, p.detail)
	if p.refusal != nil {
		b = appendQuota(b, p.refusal)
	}
	return append(b, '}')
}

// appendQuota appends the members that tell whose quota, how far and how long;
// no wait where waiting does not help.
func appendQuota(b []byte, r *transports.Refusal) []byte {
	b = append(b, `,"violated-policies":[`...)
	b = appendString(b, r.Policy)
	b = append(b, `],"used":`...)
	b = strconv.AppendUint(b, uint64(r.Used), 10)
	b = append(b, `,"quota":`...)
	b = strconv.AppendUint(b, uint64(r.Quota), 10)
	if r.Wait > 0 {
		b = append(b, `,"wait":`...)
		b = strconv.AppendInt(b, int64(r.Wait), 10)
	}
	return b
}

// appendString appends s as a JSON string.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' || s[i] == '"' || s[i] == '\\' {
			quoted, _ := json.Marshal(s) // a string always marshals
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
