package http

import (
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
	code, limit := bandwidthCode(why.Class)
	if limit {
		b = append(b, `{"category":"limit","code":"`+code+`","message":`...)
		b = appendString(b, why.Reason())
		b = append(b, `,"details":[`...)
	} else {
		reset := strconv.FormatInt(s.cfg.Now().Add(c.req.decision.Reset).UnixMilli(), 10)
		h["X-RateLimit-Reset"] = []string{reset}
		b = append(b, `{"category":"too-many-requests","code":"`+code+`","details":[`...)
		b = append(appendDetail(b, "rateLimitResetTime", reset), ',')
	}
	b = append(appendDetail(b, "requestMethod", r.Method), ',')
	b = append(appendDetail(b, "remoteAddress", c.req.host.String()), ',')
	b = appendDetail(b, "requestPath", maskedPath(r.URL.EscapedPath()))
	return append(b, "]}"...)
}

// bandwidthCode is the code of a class, and whether it is of category limit.
func bandwidthCode(c quota.Class) (code string, limit bool) {
	switch c {
	case quota.Messages:
		return "message-rate-limit", true
	case quota.Connects:
		return "call-rate-limit", true
	}
	return "rate-limit-reached", false
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
