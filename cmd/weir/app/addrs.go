package app

import "github.com/weirgate/weir/config"

// Addrs are the real addresses, once Start has returned.
func (a *App) Addrs() Addrs {
	all := Addrs{Control: "http://" + a.control.Addr().String(), NATS: a.bus.ClientURL(), token: "pump"}
	if a.loaded.Config.Devices.Auth == config.AuthToken {
		all.token = "$TOKEN"
	}
	if a.http != nil {
		all.HTTP = "http://" + a.http.Addr().String()
	}
	if a.mqtt != nil {
		all.MQTT = "mqtt://" + a.mqtt.Addr().String()
	}
	if a.coap != nil {
		all.CoAP = "coap://" + a.coap.Addr().String()
	}
	return all
}
