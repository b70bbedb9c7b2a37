// docs/signing-in.md's `call`, as printed, against a real server; the refreshes are counted.
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'

const url = process.env.MELON_URL
const source = (await readFile(process.env.SNIPPET, 'utf8')).replace('http://127.0.0.1:8000', url)
await writeFile(`${process.env.SNIPPET}.mjs`, source)
const { call } = await import(`${process.env.SNIPPET}.mjs`)

const real = globalThis.fetch
const asked = []
globalThis.fetch = (address, init) => {
  asked.push(new URL(address).pathname.replace('/api/v1', ''))
  return real(address, init)
}

let pair
const store = { get: async () => pair, set: async (next) => { pair = next } }
const form = { email: `${Date.now()}@example.com`, password: 'correct horse battery' }
const headers = { 'Content-Type': 'application/json' }
const registered = await real(`${url}/api/v1/auth/register`, { method: 'POST', headers, body: JSON.stringify(form) })
pair = await registered.json()

assert.deepEqual(await call(store, '/sync/push', { changes: {}, lastPulledAt: null }).then(Object.keys), ['timestamp'])
const first = pair
pair = { ...first, access_token: process.env.EXPIRED }
const pulls = [1, 2, 3].map(() => call(store, '/sync/pull', { lastPulledAt: null }))
for (const answer of await Promise.all(pulls)) assert.equal(typeof answer.timestamp, 'number')
assert.equal(asked.filter((path) => path === '/auth/refresh').length, 1, 'many calls, one refresh')
assert.notEqual(pair.refresh_token, first.refresh_token)

// the answer was lost: the phone has the old pair still
pair = { ...first, access_token: process.env.EXPIRED }
await call(store, '/sync/pull', { lastPulledAt: null })

pair = { ...pair, access_token: 'nonsense' }
await assert.rejects(call(store, '/sync/pull', { lastPulledAt: null }), { status: 401, message: /token_invalid/ })
pair = { ...pair, access_token: process.env.EXPIRED, refresh_token: process.env.EXPIRED }
const kept = pair
await assert.rejects(call(store, '/sync/pull', { lastPulledAt: null }), { status: 401 })
assert.equal(pair, kept)
console.log('the tokens live')
