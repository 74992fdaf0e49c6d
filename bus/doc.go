// Package bus is NATS as the gateway sees it: an embedded nats-server or a
// remote one, the streams, the durable way up by group commit, questions and
// answers, and the events' way out.
//
// What Submit acknowledges is in JetStream, and with the embedded server and
// SyncAlways it is on the disk. One message may be stored twice (its outcome
// was unknown and it was sent again; then it carries Weir-Maybe-Duplicate), but
// it is never acknowledged without having been stored.
//
// It never knows a protocol, a quota, a host list, or what a payload means.
package bus
