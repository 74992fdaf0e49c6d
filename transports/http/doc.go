// Package http is ThingsBoard's HTTP device API over HTTP/1.1: telemetry and
// attributes up, attributes asked for, and every refusal said in HTTP's words
// (status, RateLimit fields, problem details).
//
// It never decides whether a request is admitted, nor what a refusal is
// answered with: the Gate and the answer table do. It never knows where a
// message is stored.
package http
