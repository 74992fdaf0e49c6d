// Package quota counts requests against policies and decides whether one more
// fits. Arithmetic (what a window holds), storage (the counter table) and
// policies (what is to be held) are three places of this package.
//
// It never knows a protocol, a socket, a device's token or a wall clock of its
// own: a caller hands it an opaque Key, an Origin bit and a Clock.
package quota
