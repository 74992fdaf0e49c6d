// Package keyed holds what Weir's quota table is measured beside: the least that
// counting by host can cost on this machine, and limiters that others wrote.
//
// It never knows what is measured, how often, or what a figure must be.
package keyed
