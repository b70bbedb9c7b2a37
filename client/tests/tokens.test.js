// Tokens: refreshed once, never lost, and nobody is signed out by a bad network.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiError, memoryStorage, NetworkError, SignedOutError, StorageError } from 'melon-sync'
import { assertFails, newPhone, phones } from './support.js'

const REFRESH = '/auth/refresh'

test('many calls that find the token old refresh once', async () => {
  const [phone] = await phones(1)
  await phone.ageToken()
  const answers = await Promise.all(Array.from({ length: 20 }, () => phone.client.me()))
  assert.equal(new Set(answers.map(({ id }) => id)).size, 1)
  assert.equal(phone.network.count(REFRESH), 1)
})

test('the server finds a token expired: one refresh, and all calls are repeated', async () => {
  const [phone] = await phones(1)
  const body = JSON.stringify({ status: 401, code: 'token_expired' })
  const expired = { status: 401, headers: { 'Content-Type': 'application/problem+json' }, body }
  phone.network.on('/users/me', expired, expired, expired)
  phone.network.on('/sync/pull', expired)
  await Promise.all([phone.client.me(), phone.client.me(), phone.client.me(), phone.sync()])
  assert.equal(phone.network.count(REFRESH), 1)
  assert.equal(phone.network.count('/users/me'), 6)
})

test('a token that is refused even when it is new is an error, and no endless loop', async () => {
  const [phone] = await phones(1)
  const body = JSON.stringify({ status: 401, code: 'token_invalid' })
  phone.network.on('/users/me', ...Array(9).fill({ status: 401, headers: {}, body }))
  await assertFails(phone.client.me(), ApiError, 'token_invalid')
  assert.deepEqual([phone.network.count('/users/me'), phone.network.count(REFRESH)], [2, 1])
  assert.notEqual(await phone.client.user(), null)
})

test('a token that is young is not refreshed', async () => {
  const [phone] = await phones(1)
  await phone.client.me()
  await phone.sync()
  assert.equal(phone.network.count(REFRESH), 0)
})

test('when the clock was put back, the token is refreshed', async () => {
  const [phone] = await phones(1)
  await phone.ageToken()
  const session = await phone.storedSession()
  const slot = `melon.session.${session.seq % 2}`
  await phone.storage.set(slot, JSON.stringify({ ...session, obtainedAt: Date.now() + 1e6 }))
  await phone.client.me()
  assert.equal(phone.network.count(REFRESH), 1)
})

test('the answer to a refresh is lost three times: it is repeated, and nobody is signed out', async () => {
  const [phone] = await phones(1)
  await phone.ageToken()
  phone.network.on(REFRESH, 'lose', 'halve', 'lose')
  await phone.client.me()
  assert.equal(phone.network.count(REFRESH), 4)
  assert.deepEqual(phone.eventTypes(), ['signed_in', 'retry', 'retry', 'retry'])
})

test('the network fails during a refresh: an error, and still signed in', async () => {
  const [phone] = await phones(1, { retry: { attempts: 1 } })
  await phone.ageToken()
  const before = await phone.storedSession()
  phone.network.on(REFRESH, 'cut', 'cut', 'cut', 'cut')
  await assertFails(phone.client.me(), NetworkError, 'network_failed')
  assert.deepEqual(await phone.storedSession(), before)
  await phone.client.me()
  assert.ok(!phone.eventTypes().includes('signed_out'))
})

test('a refresh that the server cannot answer signs nobody out', async () => {
  const [phone] = await phones(1, { retry: { attempts: 1 } })
  await phone.ageToken()
  const page = { status: 502, headers: { 'Content-Type': 'text/html' }, body: '<h1>Bad gateway</h1>' }
  phone.network.on(REFRESH, page, page, page, page)
  await assertFails(phone.client.me(), ApiError, 'http_502')
  await phone.client.me()
})

test('a refresh token that was used before ends the session, once and for all callers', async () => {
  const [phone] = await phones(1)
  const stolen = (await phone.storedSession()).refresh
  for (let turn = 0; turn < 2; turn += 1) {
    await phone.ageToken()
    await phone.client.me()
  }
  const session = await phone.storedSession()
  const slot = `melon.session.${session.seq % 2}`
  await phone.storage.set(slot, JSON.stringify({ ...session, refresh: stolen, obtainedAt: 0 }))
  const calls = Array.from({ length: 3 }, () => phone.client.me())
  for (const call of calls) await assertFails(call, SignedOutError, 'token_revoked')
  assert.deepEqual(phone.eventTypes(), ['signed_in', 'signed_out'])
  assert.equal(phone.events.at(-1).reason, 'token_revoked')
  assert.equal(await phone.client.user(), null)
  await assertFails(phone.sync(), SignedOutError, 'signed_out')
})

test('a session that another device has ended is a SignedOutError', async () => {
  const [phone, tablet] = await phones(2)
  const { id } = (await tablet.client.sessions()).find(({ current }) => !current)
  await tablet.client.endSession(id)
  await assertFails(phone.sync(), SignedOutError, 'token_revoked')
  assert.equal(phone.events.at(-1).type, 'signed_out')
  await tablet.sync()
})

// --- Two tabs: storages of their own over the same values, so that no lock of ours is between them

function tab(values) {
  return {
    get: async (key) => values.get(key),
    set: async (key, value) => values.set(key, value),
    remove: async (key) => values.delete(key),
  }
}

async function twoTabs() {
  const values = new Map()
  const phone = await newPhone({ storage: tab(values) })
  await phone.client.register(phone.credentials)
  return { phone, first: phone.client, second: phone.newClient({ storage: tab(values) }) }
}

test('two tabs refresh at once, and then by turns: neither signs the other out', async () => {
  const { phone, first, second } = await twoTabs()
  await phone.ageToken()
  await Promise.all([first.me(), second.me()])
  for (const client of [first, second, first, first, second]) {
    await phone.ageToken()
    await client.me()
  }
  assert.deepEqual(phone.eventTypes(), ['signed_in'])
})

/** A point that one side reaches and waits at until it is let go. */
function gate() {
  const point = {}
  point.reached = new Promise((resolve) => {
    point.wait = () => new Promise((go) => resolve((point.open = go)))
  })
  return point
}

test('a tab whose answer is late does not put an old token over a newer one', async () => {
  const { phone, first, second } = await twoTabs()
  await phone.ageToken()
  const late = gate()
  phone.network.on(REFRESH, { late: late.wait })
  const slow = second.me()
  await late.reached
  for (let turn = 0; turn < 3; turn += 1) { // the first is answered with the same successor
    await phone.ageToken()
    await first.me()
  }
  const newest = await phone.storedSession()
  late.open()
  await slow
  assert.deepEqual(await phone.storedSession(), newest)
})

test('a tab whose refresh is refused leaves alone who has signed in meanwhile', async () => {
  const { phone, first, second } = await twoTabs()
  await phone.ageToken()
  const early = gate()
  phone.network.on(REFRESH, early.wait)
  const slow = second.me()
  await early.reached
  await first.logout()
  await first.login(phone.credentials)
  const newest = await phone.storedSession()
  early.open()
  await slow
  assert.deepEqual(await phone.storedSession(), newest)
  assert.deepEqual(phone.eventTypes(), ['signed_in', 'signed_out', 'signed_in'])
})

test('a tab signs out, and the other one is signed out with it', async () => {
  const { first, second } = await twoTabs()
  await first.logout()
  assert.equal(await second.user(), null)
  await assertFails(second.me(), SignedOutError, 'signed_out')
})

// --- Storages that fail

test('a storage that takes no new token: an error, and the pair is not lost', async () => {
  const storage = memoryStorage()
  const set = storage.set
  const phone = await newPhone({ storage })
  await phone.client.register(phone.credentials)
  await phone.ageToken()
  storage.set = () => Promise.reject(new Error('the keychain is locked'))
  await assertFails(phone.client.me(), StorageError)
  await assertFails(phone.client.me(), StorageError)
  storage.set = set
  await phone.client.me()
  assert.equal(phone.network.count(REFRESH), 1)
  const fresh = phone.newClient({ storage })
  await fresh.me() // it was stored
  assert.ok(!phone.eventTypes().includes('signed_out'))
})

test('a storage that cannot be read signs nobody out', async () => {
  const storage = memoryStorage()
  const { get } = storage
  const phone = await newPhone({ storage })
  await phone.client.register(phone.credentials)
  storage.get = () => {
    throw new Error('locked')
  }
  await assertFails(phone.client.me(), StorageError)
  await assertFails(phone.sync(), StorageError)
  storage.get = get
  await phone.client.me()
  assert.deepEqual(phone.eventTypes(), ['signed_in'])
})

test('the app dies while it stores the new pair: the one before is still there, and good', async () => {
  const [phone] = await phones(1)
  await phone.ageToken()
  await phone.client.me()
  const { seq } = await phone.storedSession()
  const slot = `melon.session.${seq % 2}`
  const text = await phone.storage.get(slot)
  await phone.storage.set(slot, text.slice(0, text.length / 2))
  await phone.newClient({ storage: phone.storage }).me()
  assert.ok(!phone.eventTypes().includes('signed_out'))
})

test('tokens are sent to the server that made them, and to no other', async () => {
  const [phone] = await phones(1)
  const elsewhere = await newPhone({ storage: phone.storage })
  await assertFails(elsewhere.client.me(), SignedOutError, 'signed_out')
  assert.equal(elsewhere.network.calls.length, 0)
})

test('a 401 of something on the way signs nobody out', async () => {
  const [phone] = await phones(1)
  await phone.ageToken()
  const box = { status: 401, headers: { 'WWW-Authenticate': 'Basic' }, body: '<h1>Hotel</h1>' }
  phone.network.on(REFRESH, box)
  await assertFails(phone.client.me(), ApiError, 'http_401')
  assert.notEqual(await phone.client.user(), null)
  await phone.client.me()
  assert.ok(!phone.eventTypes().includes('signed_out'))
})

test('a refresh that was tried enough is not tried again by the call that wanted it', async () => {
  const [phone] = await phones(1)
  await phone.ageToken()
  phone.network.on(REFRESH, ...Array(20).fill('cut'))
  await assertFails(phone.client.me(), NetworkError, 'network_failed')
  assert.equal(phone.network.count(REFRESH), 4)
})

test('a logout does not wait for a refresh that hangs', async () => {
  const [phone] = await phones(1)
  await phone.ageToken()
  phone.network.on(REFRESH, 'hang', 'hang', 'hang', 'hang')
  const call = assertFails(phone.client.me(), SignedOutError, 'signed_out')
  while (phone.network.count(REFRESH) === 0) await new Promise((wake) => setTimeout(wake, 5))
  await phone.client.logout()
  await call
  assert.equal(phone.network.count(REFRESH), 1)
  assert.equal(await phone.client.user(), null)
})

test('a keychain that has lost its key: signing out and in leads out of it', async () => {
  const kept = memoryStorage()
  const lost = new Set()
  const storage = {
    get: (key) => {
      if (lost.has(key)) throw new Error('the key is gone')
      return kept.get(key)
    },
    set: (key, value) => (lost.delete(key), kept.set(key, value)),
    remove: (key) => (lost.delete(key), kept.remove(key)),
  }
  const [phone] = await phones(1, { storage })
  const lose = () => ['session.0', 'session.1', 'device'].forEach((key) => lost.add(`melon.${key}`))
  lose()
  await assertFails(phone.client.me(), StorageError)
  await phone.client.logout()
  await phone.client.login(phone.credentials)
  await phone.client.me()
  lost.add('melon.session.0').add('melon.session.1')
  await phone.client.login(phone.credentials)
  await phone.client.me()
})
