// Package app puts the rooms of Weir together: it makes them from a
// configuration, starts them in order, reloads them, and stops them in the
// opposite order. It is the only package that knows everyone.
//
// It never knows a protocol's frames, how a quota counts or how NATS is spoken
// to: it only hands one room's values to the next (wire_*.go).
package app
