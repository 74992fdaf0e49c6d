// Package config turns a YAML file and the environment into plain, checked
// values, and can say of each value where it was written, so that another
// room's complaint about it reaches the operator with a file and a line.
//
// It never knows what a value is for: no quota, no list of hosts, no protocol
// and no store is imported here, and it opens no file but the one it is given.
//
// # The file
//
// One YAML document of at most MaxFile bytes in UTF-8. A scalar may hold
// ${NAME:default}, which is the environment's NAME, or default where NAME is
// not set; set but empty is empty. ${NAME} must be set. A lone $ and $$ are
// text, and ${:text} is text itself, which is how a literal "${" is written:
// ${:$}{. Numbers and booleans may be quoted.
//
// # The environment
//
// WEIR_ and a key's path in capitals with __ between its levels overrides that
// key: WEIR_QUOTA__HOST__LIMIT=5. Such a value is taken as it stands, without
// placeholders. A list of texts is separated by commas, a list of sections is
// written as YAML or JSON on one line.
package config
