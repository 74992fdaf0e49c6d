package control

import (
	"context"
	"net/http"
	"strings"
)

// healthz: the process is alive and answers.
func healthz(w http.ResponseWriter, _ *http.Request) {
	text(w, http.StatusOK, "ok\n")
}

// readyz: every check passes, else a line for each that does not.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	switch s.phase.Load() {
	case starting:
		text(w, http.StatusServiceUnavailable, "starting\n")
		return
	case stopping:
		text(w, http.StatusServiceUnavailable, "stopping\n")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	var faults []error
	if s.cfg.Ready != nil {
		faults = s.cfg.Ready(ctx)
	}
	if len(faults) == 0 {
		text(w, http.StatusOK, "ready\n")
		return
	}
	var b strings.Builder
	for _, err := range faults {
		b.WriteString(strings.Join(strings.Fields(err.Error()), " ")) // one line each
		b.WriteByte('\n')
	}
	text(w, http.StatusServiceUnavailable, b.String())
}

func text(w http.ResponseWriter, status int, body string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body)) // the client is gone: nothing is left to say
}
