// Package coap is the CoAP front-end over UDP (RFC 7252): an own read loop that
// decides about a datagram from its bytes and its source alone, so that a peer
// costs nothing until the Gate has admitted a message of its. go-coap's message
// package frames options; its server is not used.
//
// What is kept, and its bound: an exchange from a fixed pool for each message
// the store has not answered yet, and for each separate response that its peer
// has not acknowledged (Config.MaxPending); a 16-byte entry in a fixed table for
// each admitted request, so that its retransmissions are answered again and not
// executed again (8 MiB).
//
// Blockwise uploads (RFC 7959), Observe (RFC 7641) and DTLS are not served: a
// Block1 request of more than one block is answered 4.13, Observe is ignored.
//
// The package never knows a quota, a list, whose a token is or where a message
// is stored: all that is the Gate's, and every error's code the answer table's.
package coap
