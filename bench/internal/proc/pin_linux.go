package proc

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// PinVerb is the verb of this program that Pin serves.
const PinVerb = "pin"

// Cores are the core that servers get and the core that load gets: the first and
// the last that this process may use.
func Cores() (server, load int, err error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return 0, 0, err
	}
	server, load = -1, -1
	for cpu := range len(set) * 64 {
		if !set.IsSet(cpu) {
			continue
		}
		if server < 0 {
			server = cpu
		}
		load = cpu
	}
	if server == load {
		return 0, 0, errors.New("two cores are needed: one for the server, one for the load")
	}
	return server, load, nil
}

// Pin becomes the command in args[1:], all of whose threads stay on the core
// args[0]. It returns only with an error.
func Pin(args []string) error {
	if len(args) < 2 {
		return errors.New("usage: pin CORE COMMAND…")
	}
	core, err := strconv.Atoi(args[0])
	if err != nil {
		return fmt.Errorf("pin: core: %w", err)
	}
	path, err := exec.LookPath(args[1])
	if err != nil {
		return err
	}
	// exec keeps the affinity of the thread that calls it.
	runtime.LockOSThread()
	var set unix.CPUSet
	set.Set(core)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("pin to core %d: %w", core, err)
	}
	return unix.Exec(path, args[1:], os.Environ())
}

// cpuTime is the processor time that a process has used, all its threads, those
// that have ended included.
func cpuTime(pid int) (time.Duration, error) {
	// The clock of another process: its inverted id, and CPUCLOCK_SCHED in the
	// lowest three bits (linux/posix-timers.h).
	const sched = 2
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|sched), &t); err != nil {
		return 0, fmt.Errorf("processor time of %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}
