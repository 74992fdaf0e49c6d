// Package transports is what the protocols share: the Message, the Gate that
// puts the steps of an admission in order, the Refusal made from a decision
// once, and the table that turns a Refusal into each protocol's answer.
//
// It never knows how a protocol is framed, where a message is stored, or how a
// quota counts.
package transports
