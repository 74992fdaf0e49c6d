// Package control is the operator's side of a gateway: whether it is alive,
// whether it is ready, and its metrics.
//
// It never knows the rooms whose figures it shows: they arrive as plain values.
// It never shows a host, a device or a token.
package control
