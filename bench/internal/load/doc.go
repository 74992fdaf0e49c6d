// Package load is a fleet of devices for measuring a server: raw sockets and one
// epoll loop, so that a core of load can outrun a core of server.
//
// It never knows which server it speaks to, nor what its work costs there.
package load
