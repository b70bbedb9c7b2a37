// Sync: what travels, what is stored, who waits for whom.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { AbortError, ValidationError } from 'melon-sync'
import { fastForward } from '../dist/esm/local.js'
import { assertConverged, assertFails, newPhone, phones } from './support.js'

const PULL = '/sync/pull'
const PUSH = '/sync/push'
const bodyOf = ({ headers, body }) =>
  JSON.parse(headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body)

test('two phones hold the same, and each is told what happened', async () => {
  const [a, b] = await phones(2)
  const project = await a.create('projects', { name: 'Home' })
  await a.create('tasks', { title: 'Paint', project_id: project })
  const timestamp = await a.sync().then((result) => {
    const { isFirst, isReplacement, isTurbo, pulled, pushed, rejected, rounds } = result
    assert.deepEqual([isFirst, isReplacement, isTurbo], [true, false, false])
    assert.deepEqual([pulled, pushed, rejected, rounds], [0, 2, [], 1])
    return result.timestamp
  })
  assert.equal(timestamp, await a.lastPulledAt())
  const first = await b.sync()
  assert.deepEqual([first.isFirst, first.pulled, first.pushed], [true, 2, 0])
  await b.edit('projects', project, { name: 'House' })
  await b.sync()
  const second = await a.sync()
  assert.deepEqual([second.isFirst, second.pulled], [false, 1])
  assert.equal((await assertConverged(a, b)).projects[project].name, 'House')
})

// --- Pages, gzip

test('a first sync is paged, and tells how far it is', async () => {
  const [a, b] = await phones(2)
  const project = await a.create('projects', { name: 'Home' })
  const tasks = Array.from({ length: 9 }, (_, n) => ({ title: `Task ${n}`, project_id: project }))
  await a.createMany('tasks', tasks)
  await a.sync()
  const told = []
  await b.sync({ pageSize: 4, onProgress: (progress) => told.push(progress) })
  assert.deepEqual(told, [
    { phase: 'pull', records: 4, pages: 1, isLast: false },
    { phase: 'pull', records: 8, pages: 2, isLast: false },
    { phase: 'pull', records: 10, pages: 3, isLast: true },
    { phase: 'apply', records: 10 },
  ])
  assert.deepEqual(await b.records(), await a.records())
  assert.equal(b.network.count(PULL), 3)
})

test('others push between the pages: nothing is missed', async () => {
  const [a, b] = await phones(2)
  const names = Array.from({ length: 6 }, (_, n) => ({ name: `Project ${n}` }))
  const ids = await a.createMany('projects', names)
  await a.sync()
  const meanwhile = async () => {
    for (const id of ids) await a.edit('projects', id, { name: 'Edited' })
    await a.create('projects', { name: 'New' })
    await a.remove('projects', ids[0])
    await a.sync()
  }
  b.network.on(PULL, undefined, meanwhile)
  await b.sync({ pageSize: 2 })
  await assertConverged(a, b)
})

test('a listener that throws harms no sync, and its error is not lost', async (context) => {
  const [a] = await phones(1)
  const [thrown, later] = [[], setTimeout]
  context.mock.method(globalThis, 'setTimeout', (work, ms) =>
    later(() => {
      try {
        work()
      } catch (error) {
        thrown.push(error.message)
      }
    }, ms),
  )
  await a.sync({
    onProgress: () => {
      throw new Error('the app’s own')
    },
  })
  await new Promise((go) => later(go, 5))
  assert.deepEqual([...new Set(thrown)], ['the app’s own'])
})

test('large pushes are packed, small ones are not', async () => {
  const [a] = await phones(1)
  await a.create('projects', { name: 'Small' })
  await a.sync()
  assert.equal(a.network.last(PUSH).headers['content-encoding'], undefined)
  await a.create('projects', { name: 'Large', description: 'text '.repeat(1000) })
  await a.sync()
  const { headers, body } = a.network.last(PUSH)
  assert.equal(headers['content-encoding'], 'gzip')
  assert.ok(body.length < 1000)
  await assertConverged(a)
})

test('gzip can be given, and forbidden', async () => {
  const description = 'text '.repeat(1000)
  const [own] = await phones(1, { gzip: async (text) => gzipSync(text, { level: 1 }) })
  await own.create('projects', { name: 'Own', description })
  await own.sync()
  assert.equal(bodyOf(own.network.last(PUSH)).changes.projects.created[0].name, 'Own')
  const [plain] = await phones(1, { gzip: false })
  await plain.create('projects', { name: 'Plain', description })
  await plain.sync()
  assert.equal(plain.network.last(PUSH).headers['content-encoding'], undefined)
})

test('another fetch can be given', async () => {
  const seen = []
  const [a] = await phones(1, {
    fetch: (url, init) => {
      seen.push(new URL(url).pathname)
      return fetch(url, init)
    },
  })
  await a.sync()
  assert.deepEqual(seen, ['/api/v1/auth/register', '/api/v1/sync/pull'])
})

// --- The clock after a push

test('what a phone has pushed it never pulls again', async () => {
  const [a, b] = await phones(2)
  const project = await a.create('projects', { name: 'Home' })
  const { timestamp } = await a.sync()
  assert.equal(await a.lastPulledAt(), timestamp)
  assert.ok(await a.hasPulledNothing())
  await a.edit('projects', project, { name: 'House' })
  await a.sync()
  await a.remove('projects', project)
  await a.sync()
  assert.ok(await a.hasPulledNothing())
  await assertConverged(a, b)
})

test('others pushed between pull and push: the clock stays, and nothing of theirs is missed', async () => {
  const [a, b] = await phones(2)
  await a.sync()
  const theirs = await b.create('projects', { name: 'Theirs' })
  await a.create('projects', { name: 'Mine' })
  a.network.on(PUSH, () => b.sync())
  const before = (await a.sync()).timestamp
  assert.equal((await a.records()).projects[theirs], undefined)
  assert.ok((await a.sync()).timestamp > before)
  assert.equal((await a.records()).projects[theirs].name, 'Theirs')
  await assertConverged(a, b)
})

test('edits made while the push is on its way are pushed next time', async () => {
  const [a, b] = await phones(2)
  const project = await a.create('projects', { name: 'Draft' })
  const other = await a.create('projects', { name: 'Regretted' })
  a.network.on(PUSH, async () => {
    await a.edit('projects', project, { name: 'Final' })
    await a.remove('projects', other)
    await a.create('projects', { name: 'Late' })
  })
  await a.sync()
  assert.equal(await a.client.hasUnsyncedChanges(a.database), true)
  await b.sync()
  await b.edit('projects', project, { description: 'by b' })
  await b.sync()
  const { projects } = await assertConverged(a, b)
  assert.deepEqual([projects[project].name, projects[project].description], ['Final', 'by b'])
  assert.equal(projects[other], undefined)
  assert.equal(Object.keys(projects).length, 2)
})

test('the app dies before the clock is set: its own changes come once more and change nothing', async () => {
  const [a, b] = await phones(2)
  await a.sync()
  const project = await a.create('projects', { name: 'Home' })
  const { setLocal } = a.database.adapter
  const pulledAt = await a.lastPulledAt()
  let sets = 0
  a.database.adapter.setLocal = function (key, value) {
    sets += key.includes('last_pulled_at') ? 1 : 0
    if (sets === 2) throw new Error('the app died')
    return setLocal.call(this, key, value)
  }
  await assert.rejects(a.sync(), /the app died/)
  a.database.adapter.setLocal = setLocal
  assert.equal(await a.lastPulledAt(), pulledAt)
  assert.equal((await a.sync()).pulled, 1)
  assert.equal((await assertConverged(a, b)).projects[project].name, 'Home')
})

test('a database that is reset during the push is not given a clock', async () => {
  const [a] = await phones(1)
  await a.create('projects', { name: 'Home' })
  a.network.on(PUSH, () => a.reset())
  await assert.rejects(a.sync(), /database was reset/)
  assert.equal(await a.lastPulledAt(), null)
  assert.equal((await a.sync()).pulled, 1)
})

test('a clock that is another one by now is not moved on', async () => {
  const [a] = await phones(1)
  await a.create('projects', { name: 'Home' })
  const { timestamp } = await a.sync()
  await fastForward(a.database, { from: timestamp - 1, to: timestamp + 1 })
  await fastForward(a.database, { from: timestamp, to: timestamp - 1 })
  assert.equal(await a.lastPulledAt(), timestamp)
  await fastForward(a.database, { from: timestamp, to: timestamp + 1 })
  assert.equal(await a.lastPulledAt(), timestamp + 1)
})

// --- Many calls

test('calls at once share one run', async () => {
  const [a] = await phones(1)
  await a.create('projects', { name: 'Home' })
  const results = await Promise.all([a.sync(), a.sync(), a.sync()])
  assert.ok(results.every((result) => result === results[0]))
  assert.deepEqual([a.network.count(PULL), a.network.count(PUSH)], [1, 1])
})

test('a sync that is asked for while one runs brings the later edit along', async () => {
  const [a, b] = await phones(2)
  await a.create('projects', { name: 'Early' })
  const later = []
  a.network.on(PUSH, async () => {
    await a.create('projects', { name: 'Late' })
    later.push(a.sync(), a.sync())
  })
  await a.sync()
  assert.equal((await later[0]).pushed, 1)
  assert.equal(await later[0], await later[1])
  assert.equal(await a.client.hasUnsyncedChanges(a.database), false)
  assert.equal((await b.sync()).pulled, 2)
})

test('a sync that fails does not fail the one after it', async () => {
  const [a] = await phones(1)
  await a.create('projects', { name: 'x'.repeat(300) })
  const first = a.sync()
  const second = a.sync({ partial: true })
  await assertFails(first, ValidationError)
  assert.equal((await second).rejected.length, 1)
})

test('a caller who gives up ends its own waiting; the last one ends the run', async () => {
  const [a, b] = await phones(2)
  await b.create('projects', { name: 'Home' })
  await b.sync()
  const [first, second] = [new AbortController(), new AbortController()]
  a.network.on(PULL, () => first.abort())
  const patient = a.sync()
  await assertFails(a.sync({ signal: first.signal }), AbortError, 'aborted')
  assert.equal((await patient).pulled, 1)
  await b.create('projects', { name: 'More' })
  await b.sync()
  a.network.on(PULL, () => second.abort())
  await assertFails(a.sync({ signal: second.signal }), AbortError)
  await assertFails(a.sync({ signal: second.signal }), AbortError)
  assert.equal(Object.keys((await a.records()).projects).length, 1)
  assert.equal((await a.sync()).pulled, 1)
})

test('a caller who gives up during a pause between tries is not kept waiting', async () => {
  const [a] = await phones(1)
  const stop = new AbortController()
  const busy = { status: 503, headers: { 'Retry-After': '4' }, body: '{"code": "unavailable"}' }
  a.network.on(PULL, busy)
  const sync = a.sync({ signal: stop.signal })
  while (!a.eventTypes().includes('retry')) await new Promise((go) => setTimeout(go, 5))
  stop.abort()
  await assertFails(sync, AbortError)
  await a.sync()
  assert.equal(a.network.count(PULL), 2)
})

// --- What the server does not take

test('a record that the server cannot keep whole is named, and nothing is stored', async () => {
  const [a] = await phones(1)
  await a.create('projects', { name: 'x'.repeat(300) })
  await a.create('projects', { name: 'Good' })
  const error = await assertFails(a.sync(), ValidationError, 'validation_failed')
  const [place] = Object.values(error.errors.changes.projects.created)
  assert.ok(Array.isArray(place.name))
  const fresh = await newPhone()
  await fresh.client.login(a.credentials)
  assert.equal((await fresh.sync()).pulled, 0)
})

test('with partial the rest is stored, and what was refused stays here with the reason', async () => {
  const [a, b] = await phones(2)
  const long = await a.create('projects', { name: 'x'.repeat(300) })
  const child = await a.create('tasks', { title: 'Under it', project_id: long })
  await a.create('projects', { name: 'Good' })
  const { rejected, pushed } = await a.sync({ partial: true })
  const reasons = Object.fromEntries(rejected.map((one) => [`${one.table} ${one.id}`, one.reasons]))
  assert.deepEqual(Object.keys(reasons).sort(), [`projects ${long}`, `tasks ${child}`])
  assert.ok(Array.isArray(reasons[`projects ${long}`].name))
  assert.equal(pushed, 1)
  assert.equal(await a.client.hasUnsyncedChanges(a.database), true)
  assert.equal((await b.sync()).pulled, 1)
  await a.edit('projects', long, { name: 'Short' })
  assert.deepEqual((await a.sync({ partial: true })).rejected, [])
  await assertConverged(a, b)
})

for (const [where, name] of [['a page', 'document'], ['a worker', 'WorkerGlobalScope']]) {
  test(`in ${where} whose browser cannot keep other tabs out, no clock is moved on`, async () => {
    const [phone] = await phones(1)
    await phone.sync()
    await phone.create('projects', { name: 'Home' })
    globalThis[name] = {} // Node 20 has no Web Locks either
    try {
      await phone.sync()
    } finally {
      delete globalThis[name]
    }
    assert.equal((await phone.sync()).pulled, 1)
  })
}
