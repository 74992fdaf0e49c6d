// Package listen binds the gateway's TCP sockets and says whose a connection
// is: its own peer's, or, behind a trusted proxy, that of the client which the
// proxy names (PROXY protocol 1 and 2, X-Forwarded-For, RFC 7239 Forwarded).
// It holds the number of connections to a bound, in all and for each host.
//
// It never knows a device protocol, a quota, a list, or what a connection is
// used for.
package listen
