// Package proc starts the servers under measurement, each pinned to one core,
// and reads what they have cost. It works on Linux alone.
//
// It never knows what a server does.
package proc
