// Package arch holds the repository's own rules, as tests: ARCHITECTURE.md's two
// import tables against what the packages import, and the habits that a parser
// can see. It is no part of the gateway, and never knows what a package does.
package arch
