// Package mqtt lets devices in by MQTT 3.1.1 and 5.
//
// A connection is read by this package's own frame reader, which charges every
// control packet through transports.Gate before it looks at it. CONNECT is
// judged here, so that a refused stranger costs no session; PUBLISH and PUBREL
// are handled here, because an acknowledgement must wait for the store and keep
// its place in line. Everything else (sessions, subscriptions, PINGREQ,
// DISCONNECT) is handed, whole and well-formed, to mochi-mqtt.
//
// Acknowledgements are gathered per connection and written together, once for
// each sweep of completions (Server.Flush), without ever blocking the store.
//
// Nothing a device publishes reaches another client: there is no routing, no
// retained message, and no will leaves this package. A will is accepted with
// CONNECT, as the protocol demands, and then forgotten.
//
// The package never knows where a message is stored, how a quota counts, which
// code a refusal has, or who vouches for a peer's address.
package mqtt
