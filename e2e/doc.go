// Package e2e holds no code of its own: its tests run the real gateway on real
// sockets and drive it with programs that nobody at Weir wrote.
//
// It never knows what is inside: it sees addresses, answers, NATS subjects and
// the process.
package e2e
