//go:build unix

package listen

import "syscall"

// openFiles is how many files the process may open (RLIMIT_NOFILE, which the Go
// runtime has raised to the hard limit).
func openFiles() uint64 {
	var lim syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim); err != nil {
		return 1024 // the usual limit where none is known
	}
	return uint64(lim.Cur)
}
