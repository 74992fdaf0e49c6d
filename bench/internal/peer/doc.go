// Package peer holds the servers that Weir is measured beside and that are no
// program of their own, and Weir itself without its store. Each runs until its
// context ends, and announces its addresses on standard error as Weir does.
//
// It never knows who asks, nor how often.
package peer
