// A bad network: answers lost, cut, late; a server that asks to be left alone.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NetworkError, RateLimitedError, ServerError } from 'melon-sync'
import { assertConverged, assertFails, phones, withClock } from './support.js'

const PULL = '/sync/pull'
const PUSH = '/sync/push'
const problem = (status, code, retryAfter) => ({
  status,
  headers: { 'Content-Type': 'application/problem+json', ...(retryAfter && { 'Retry-After': retryAfter }) },
  body: JSON.stringify({ status, code }),
})

test('answers to pulls and pushes get lost: they are asked for again, and nothing doubles', async () => {
  const [a, b] = await phones(2)
  await a.create('projects', { name: 'Home' })
  a.network.on(PULL, 'cut', 'halve', 'lose')
  a.network.on(PUSH, 'lose', 'cut', 'halve')
  const { pushed, rounds } = await a.sync()
  assert.deepEqual([pushed, rounds, a.network.count(PUSH)], [1, 1, 4])
  assert.ok(await a.hasPulledNothing())
  assert.equal(Object.keys((await assertConverged(a, b)).projects).length, 1)
})

test('a page of a first sync is lost: it alone is asked for again', async () => {
  const [a, b] = await phones(2)
  await a.createMany('projects', Array.from({ length: 5 }, (_, n) => ({ name: `Project ${n}` })))
  await a.sync()
  b.network.on(PULL, undefined, 'halve')
  assert.equal((await b.sync({ pageSize: 2 })).pulled, 5)
  assert.equal(b.network.count(PULL), 4)
})

test('offline: an error after some tries; nothing is lost', async () => {
  const [a, b] = await phones(2, { retry: { attempts: 3, baseMs: 5, maxMs: 20 } })
  await a.create('projects', { name: 'Home' })
  a.network.on(PUSH, 'cut', 'cut', 'cut')
  await assertFails(a.sync(), NetworkError, 'network_failed')
  assert.equal(a.network.count(PUSH), 3)
  assert.equal(await a.client.hasUnsyncedChanges(a.database), true)
  await assertConverged(a, b)
})

test('a server that never answers is given up', async () => {
  const [a] = await phones(1)
  const hasty = a.newClient({ storage: a.storage, timeoutMs: 300, retry: { attempts: 2, baseMs: 5 } })
  a.network.on(PULL, 'hang', 'hang')
  await assertFails(hasty.sync(a.database), NetworkError, 'timeout')
  await a.sync()
})

test('also where fetch does not look at its signal', async () => {
  const [a] = await phones(1)
  const hasty = a.newClient({
    storage: a.storage,
    timeoutMs: 300,
    retry: { attempts: 1 },
    fetch: (url, { signal: _, ...init }) => fetch(url, init),
  })
  a.network.on(PULL, 'hang')
  await assertFails(hasty.sync(a.database), NetworkError, 'timeout')
})

test('it comes back when the server said: seconds and dates', async () => {
  const [a] = await phones(1)
  const date = new Date(Date.now() + 1_000).toUTCString()
  a.network.on(PULL, problem(429, 'rate_limited', '1'), problem(503, 'unavailable', date))
  await a.sync()
  const waits = a.events.filter(({ type }) => type === 'retry').map(({ delayMs }) => delayMs)
  assert.equal(waits.length, 2)
  assert.ok(waits[0] >= 1_000 && waits[0] <= 1_010, `${waits[0]}`)
  assert.ok(waits[1] >= 0 && waits[1] <= 1_010, `${waits[1]}`)
})

test('a server that wants to be left alone for long is not waited for', async () => {
  const [a] = await phones(1)
  a.network.on(PULL, problem(429, 'rate_limited', '3600'))
  const error = await assertFails(a.sync(), RateLimitedError, 'rate_limited')
  assert.equal(error.retryAfter, 3600)
  assert.equal(a.network.count(PULL), 1)
})

test('an ill server is asked a few times, then told about', async () => {
  const [a] = await phones(1, { retry: { attempts: 3, baseMs: 5 } })
  const page = { status: 502, headers: { 'X-Request-ID': 'r-1' }, body: '<h1>Bad gateway</h1>' }
  a.network.on(PULL, problem(500, 'internal_error'), problem(504, 'internal_error'), page)
  const error = await assertFails(a.sync(), ServerError, 'http_502')
  assert.deepEqual([error.status, error.requestId], [502, 'r-1'])
})

test('an answer to a push that is not the server’s: nothing counts as stored', async () => {
  const [phone] = await phones(1)
  await phone.sync()
  await phone.create('projects', { name: 'Home' })
  const headers = { 'Content-Type': 'application/json' }
  phone.network.on('/sync/push', { status: 200, headers, body: '{"ok":true}' })
  await assertFails(phone.sync(), NetworkError, 'bad_answer')
  assert.equal(await phone.client.hasUnsyncedChanges(phone.database), true)
  assert.equal((await phone.sync()).pushed, 1)
})

test('a Retry-After of 0 is no reason to hurry', async () => {
  const [phone] = await phones(1, { retry: { attempts: 3, baseMs: 40, maxMs: 5_000 } })
  const body = JSON.stringify({ status: 503, code: 'unavailable' })
  const busy = { status: 503, headers: { 'Retry-After': '0' }, body }
  phone.network.on('/sync/pull', busy, busy)
  await phone.sync()
  const waits = phone.events.filter(({ type }) => type === 'retry').map(({ delayMs }) => delayMs)
  assert.ok(waits.length === 2 && waits[0] >= 20 && waits[1] >= 40, `${waits}`)
})

test('a date to come back at is read by the clock of who sent it, not by a phone’s that is wrong', async () => {
  const [phone] = await phones(1)
  const date = new Date(Date.now() + 1_000).toUTCString()
  phone.network.on('/users/me', problem(503, 'unavailable', date))
  await withClock(-3_600_000, () => phone.client.me())
  const { delayMs } = phone.events.find(({ path }) => path === '/users/me')
  assert.ok(delayMs <= 1_010, `${delayMs}`)
})

test('a phone whose clock jumps a year back and on misses nothing', async () => {
  const [phone, other] = await phones(2)
  for (const ms of [-365 * 86_400_000, 365 * 86_400_000, 0]) {
    await other.create('projects', { name: `${ms}` })
    await other.sync()
    await withClock(ms, async () => {
      await phone.create('projects', { name: `here ${ms}` })
      assert.equal((await phone.sync()).pulled, 1)
    })
  }
  assert.equal(Object.keys((await assertConverged(phone, other)).projects).length, 6)
})
