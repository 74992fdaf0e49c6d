package bus

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// dirFormat is the version of what lies in the data directory. A newer one is
// refused: this program would not understand it.
const dirFormat = 1

// dataDir is the embedded server's directory, locked for this process.
type dataDir struct {
	path string
	lock *os.File
}

// openDataDir creates path if need be, makes it private, locks it and checks
// its format. A folder that holds something else is left alone. Every error
// names the directory and is one line.
func openDataDir(path string) (*dataDir, error) {
	d := &dataDir{path: path}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, d.fault(err)
	}
	if err := d.checkOurs(); err != nil {
		return nil, d.fault(err)
	}
	if err := os.Chmod(path, 0o700); err != nil {
		return nil, d.fault(err)
	}
	if err := d.acquire(); err != nil {
		return nil, d.fault(err)
	}
	if err := d.checkFormat(); err != nil {
		_ = d.release()
		return nil, d.fault(err)
	}
	if err := d.probe(); err != nil {
		_ = d.release()
		return nil, d.fault(err)
	}
	return d, nil
}

// early are the files that may be there before the format is: of a start that
// was cut short, and of a file system's root.
var early = []string{"format", "lock", "probe", "lost+found"}

// checkOurs refuses a folder that has no format and is not empty: it is
// somebody's, and mistyped.
func (d *dataDir) checkOurs() error {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return err
	}
	foreign := ""
	for _, e := range entries {
		switch name := e.Name(); {
		case name == "format":
			return nil
		case !slices.Contains(early, name):
			foreign = name
		}
	}
	if foreign != "" {
		return fmt.Errorf("holds %q and is no data directory of weir's: choose a new or an empty one", foreign)
	}
	return nil
}

// fault names the directory in an error of it.
func (d *dataDir) fault(err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		err = errors.New("the disk is full: free some space or choose another directory")
	}
	return fmt.Errorf("nats.embedded.dir %s: %w", d.path, err)
}

// acquire takes the lock, which the system releases if the process dies.
func (d *dataDir) acquire() error {
	f, err := os.OpenFile(filepath.Join(d.path, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return errors.New("in use by another weir: stop it or choose another directory")
		}
		return err
	}
	d.lock = f
	return nil
}

func (d *dataDir) release() error { return d.lock.Close() }

// checkFormat reads the format's version, or writes it into a new directory.
func (d *dataDir) checkFormat() error {
	name := filepath.Join(d.path, "format")
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(text) == 0 {
		return writeSynced(name, []byte(strconv.Itoa(dirFormat)+"\n"))
	}
	if err != nil {
		return err
	}
	version, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || version < 1 {
		return errors.New("its file \"format\" holds no version: is this weir's directory?")
	}
	if version > dirFormat {
		return fmt.Errorf("format %d is newer than this weir's %d: use a newer weir", version, dirFormat)
	}
	return nil
}

// probeSize is what must fit the disk for JetStream to be worth (re)starting:
// its streams' state and a batch of small messages.
const probeSize = 256 << 10

// probe finds out whether the disk takes a write.
func (d *dataDir) probe() error {
	name := filepath.Join(d.path, "probe")
	err := writeSynced(name, make([]byte, probeSize))
	return errors.Join(err, os.Remove(name))
}

// fsyncRounds is how many fsyncs the measurement takes the median of.
const fsyncRounds = 9

// fsyncCost is the median time that appending 4 KiB to a file and fsyncing it
// takes, which is what JetStream does for a message.
func (d *dataDir) fsyncCost() (time.Duration, error) {
	name := filepath.Join(d.path, "probe")
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, d.fault(err)
	}
	cost, err := measureFsync(f)
	if err = errors.Join(err, f.Close(), os.Remove(name)); err != nil {
		return 0, d.fault(err)
	}
	return cost, nil
}

func measureFsync(f *os.File) (time.Duration, error) {
	costs := make([]time.Duration, fsyncRounds)
	for i := range costs {
		start := time.Now()
		if _, err := f.Write(make([]byte, 4<<10)); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
		costs[i] = time.Since(start)
	}
	slices.Sort(costs)
	return costs[fsyncRounds/2], nil
}

func writeSynced(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
