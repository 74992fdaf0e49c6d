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

// WatchFile calls changed whenever the content of the file at path is another
// than when it was last looked at, until ctx ends. A file that is away for a
// while is no change.
func WatchFile(ctx context.Context, path string, changed func()) {
	seed := maphash.MakeSeed()
	sum := func() (uint64, bool) {
		data, err := os.ReadFile(path)
		return maphash.Bytes(seed, data), err == nil
	}
	last, _ := sum()
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if now, ok := sum(); ok && now != last {
			last = now
			changed()
		}
	}
}
