package http_test

import (
	"io"
	"net"
	nethttp "net/http"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/quota"
)

const reading = `{"temperature":21.5,"humidity":48,"battery":3.61}`

// BenchmarkPost compares, in one run, a bare gin handler that reads the body and
// answers 204 with a stored message and with a refusal of this server.
func BenchmarkPost(b *testing.B) {
	b.Run("bare gin", func(b *testing.B) {
		gin.SetMode(gin.ReleaseMode)
		e := gin.New()
		e.POST("/api/v1/:token/telemetry", func(g *gin.Context) {
			_, _ = io.ReadAll(g.Request.Body)
			g.Status(nethttp.StatusNoContent)
		})
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(b, err)
		s := &nethttp.Server{Handler: e, ReadHeaderTimeout: time.Minute}
		go func() { _ = s.Serve(ln) }()
		defer func() { _ = s.Close() }()
		exchange(b, ln.Addr().String(), "204")
	})
	b.Run("stored", func(b *testing.B) {
		w := limited(quota.Standard, 1<<31)
		s := serve(b, w, nil)
		w.forget = true
		exchange(b, s.Addr().String(), "200")
	})
	b.Run("refused", func(b *testing.B) {
		w := limited(quota.ThingsBoard, 1)
		s := serve(b, w, nil)
		w.forget = true
		connect(b, s).do(get("/"))
		exchange(b, s.Addr().String(), "509")
	})
}

// exchange posts b.N readings over one connection.
func exchange(b *testing.B, addr, status string) {
	c, err := net.Dial("tcp", addr)
	require.NoError(b, err)
	defer func() { _ = c.Close() }()
	request := []byte(post("/api/v1/A1_TEST_TOKEN/telemetry", reading))
	buf := make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		if _, err = c.Write(request); err != nil {
			b.Fatal(err)
		}
		n, err := c.Read(buf)
		if err != nil || string(buf[9:12]) != status {
			b.Fatal(err, string(buf[:n]))
		}
	}
}
