// mqtt_publish.js URL TOKEN VERSION COUNT: publishes COUNT readings with QoS 1
// over MQTT 3.1.1 (VERSION 4) or 5, prints "acked N", or "error CODE MESSAGE" or
// "disconnect CODE REASON" when the gateway says so.
'use strict'
const mqtt = require('mqtt')

const [url, username, version, count] = process.argv.slice(2)
const client = mqtt.connect(url, { username, protocolVersion: Number(version), reconnectPeriod: 0 })

let acked = 0
client.on('error', (err) => { console.log('error', err.code, err.message); client.end(true) })
client.on('disconnect', (packet) => {
  const reason = packet.properties ? packet.properties.reasonString : ''
  console.log('disconnect', packet.reasonCode, reason)
})
client.on('close', () => { console.log('closed') })
client.on('connect', async () => {
  for (let n = 0; n < Number(count); n++) {
    try {
      await client.publishAsync('v1/devices/me/telemetry', JSON.stringify({ n }), { qos: 1 })
      acked++
    } catch (err) {
      console.log('refused', err.code, err.message)
      break
    }
  }
  console.log('acked', acked)
  client.end()
})
