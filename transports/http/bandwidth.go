package http

import (
	"math"
	nethttp "net/http"
	"strconv"
	"strings"

	"github.com/weirgate/weir/quota"
	"github.com/weirgate/weir/transports"
)

// bandwidth appends the body of a quota's refusal as Bandwidth's platform says
// it, and sets its header fields: a 429 with the time of the reset, in UNIX
// milliseconds, where the class is total or reads, else a 403.
func (s *Server) bandwidth(b []byte, h nethttp.Header, r *nethttp.Request, why *transports.Refusal) []byte {
	h["Content-Type"] = []string{transports.JSON}
	c := connOf(r)
	code, limit := bandwidthCode(why)
	if limit {
		b = append(b, `{"category":"limit","code":"`+code+`","message":`...)
		b = appendString(b, bandwidthMessage(why))
		b = append(b, `,"details":[`...)
	} else {
		reset := strconv.FormatInt(s.cfg.Now().Add(why.After).UnixMilli(), 10)
		h["X-RateLimit-Reset"] = []string{reset}
		b = append(b, `{"category":"too-many-requests","code":"`+code+`","details":[`...)
		b = append(appendDetail(b, "rateLimitResetTime", reset), ',')
	}
	b = append(appendDetail(b, "requestMethod", r.Method), ',')
	b = append(appendDetail(b, "remoteAddress", c.req.host.String()), ',')
	b = appendDetail(b, "requestPath", maskedPath(r.URL.EscapedPath()))
	return append(b, "]}"...)
}

// bandwidthCode is the code of a refusal, and whether it is of category limit.
func bandwidthCode(why *transports.Refusal) (code string, limit bool) {
	switch {
	case why.Kind == transports.CostTooHigh:
		return "multi-message-limit", true
	case why.Class == quota.Messages:
		return "message-rate-limit", true
	case why.Class == quota.Connects:
		return "call-rate-limit", true
	}
	return "rate-limit-reached", false
}

// bandwidthMessage is the message of a code of category limit, in the words of
// Bandwidth's document (seeds/bandwidth-rate-limits.md).
func bandwidthMessage(why *transports.Refusal) string {
	cost := uint64(max(why.Cost, 1))
	if why.Kind == transports.CostTooHigh {
		return "The number of messages [" + strconv.FormatUint(cost, 10) +
			"] in the multi message request is greater than the limit [" + strconv.FormatUint(uint64(why.Quota), 10) + "]."
	}
	p := why.Limit
	if p == nil {
		return why.Reason()
	}
	do, what := "send ", " messages per "
	if why.Class == quota.Connects {
		do, what = "create ", " calls per "
	}
	per := p.Bucket
	if per.Window == 0 { // the host policy
		per = quota.Bucket{Quota: p.Quota, Window: p.Window}
	}
	rate := float64(uint64(why.Used)+cost) * per.Window.Seconds() / p.Window.Seconds()
	return "You can " + do + strconv.FormatUint(uint64(per.Quota), 10) + what + decimal(per.Window.Seconds()) +
		" seconds, calculated as the average over " + decimal(p.Window.Seconds()) + " seconds. Your rate is: " + decimal(rate)
}

// decimal is f with at most three digits after the point.
func decimal(f float64) string {
	return strconv.FormatFloat(math.Round(f*1000)/1000, 'f', -1, 64)
}

func appendDetail(b []byte, name, value string) []byte {
	b = append(b, `{"name":"`+name+`","value":`...)
	return append(appendString(b, value), '}')
}

// maxPath is how much of a path is repeated to its sender.
const maxPath = 256

// maskedPath is a path without its leading slash and without the token in it.
func maskedPath(path string) string {
	path = strings.TrimPrefix(path, "/")
	if rest, ok := strings.CutPrefix(path, "api/v1/"); ok {
		_, rest, more := strings.Cut(rest, "/")
		path = "api/v1/{token}"
		if more {
			path += "/" + rest
		}
	}
	return path[:min(len(path), maxPath)]
}
