// coap_post.js URL COUNT: posts COUNT confirmable readings one after another and
// prints each answer: its code, Max-Age and payload.
'use strict'
const coap = require('coap')

const [url, count] = process.argv.slice(2)

function post (n) {
  return new Promise((resolve, reject) => {
    const request = coap.request({ ...parts(url), method: 'POST', confirmable: true })
    request.on('response', (response) => {
      const age = response.headers['Max-Age']
      console.log(response.code, age === undefined ? '-' : age, response.payload.toString())
      resolve()
    })
    request.on('error', reject)
    request.write(JSON.stringify({ n }))
    request.end()
  })
}

function parts (text) {
  const u = new URL(text)
  return { hostname: u.hostname, port: u.port, pathname: u.pathname }
}

async function main () {
  for (let n = 0; n < Number(count); n++) await post(n)
}

main().then(() => process.exit(0), (err) => { console.log('error', err.message); process.exit(1) })
