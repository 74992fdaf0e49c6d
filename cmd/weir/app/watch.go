package app

import (
	"context"
	"hash/maphash"
	"os"
	"time"
)

// watchEvery is how often a configuration file is looked at. Looking beats
// being told: it works on every file system, through the symbolic links by which
// orchestrators swap files, and one small read a second costs nothing.
const watchEvery = time.Second

// FileWatch knows what a file held when it was last looked at.
type FileWatch struct {
	path string
	seed maphash.Seed
	last uint64
}

// NewFileWatch looks at the file at path. Do it before the file is read, so
// that no change is missed in between.
func NewFileWatch(path string) *FileWatch {
	w := &FileWatch{path: path, seed: maphash.MakeSeed()}
	w.last, _ = w.sum()
	return w
}

func (w *FileWatch) sum() (uint64, bool) {
	data, err := os.ReadFile(w.path)
	return maphash.Bytes(w.seed, data), err == nil
}

// Run calls changed whenever the content of the file is another than when it
// was last looked at, until ctx ends. A file that is away for a while is no
// change. Run it once.
func (w *FileWatch) Run(ctx context.Context, changed func()) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if now, ok := w.sum(); ok && now != w.last {
			w.last = now
			changed()
		}
	}
}
