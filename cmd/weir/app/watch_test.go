package app_test

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weirgate/weir/cmd/weir/app"
)

// TestWatchFile: told once of another content, also by way of a symbolic link
// that is swapped, and never of the same content or of an absence.
func TestWatchFile(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	one, two := file("one", "limit: 1"), file("two", "limit: 2")
	link := filepath.Join(dir, "weir.yaml")
	point := func(to string) {
		_ = os.Remove(link)
		require.NoError(t, os.Symlink(to, link))
	}
	point(one)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var changes atomic.Int64
		done := make(chan struct{})
		go func() { defer close(done); app.NewFileWatch(link).Run(ctx, func() { changes.Add(1) }) }()
		for _, step := range []struct {
			what string
			do   func()
			want int
		}{
			{"nothing", func() {}, 0},
			{"the same content again", func() { file("one", "limit: 1") }, 0},
			{"another content", func() { file("one", "limit: 3") }, 1},
			{"gone", func() { require.NoError(t, os.Remove(link)) }, 1},
			{"back as it was", func() { point(one) }, 1},
			{"another file behind the link", func() { point(two) }, 2},
		} {
			synctest.Wait()
			step.do()
			<-time.After(2500 * time.Millisecond)
			synctest.Wait()
			require.EqualValues(t, step.want, changes.Load(), step.what)
		}
		cancel()
		<-done
	})
}
