//go:build !unix

package listen

// openFiles is a guess where the system sets no limit that can be asked.
func openFiles() uint64 { return 3 * MaxDefaultConns / 4 }
