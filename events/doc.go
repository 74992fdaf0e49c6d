// Package events tells what happened, as CloudEvents and as log lines: the
// regular report of offenders, hosts that exceed their quota and recover, and
// devices that connect and disconnect.
//
// It never decides anything, and never knows how an event travels or which
// protocol a bit of an Origin stands for.
package events
