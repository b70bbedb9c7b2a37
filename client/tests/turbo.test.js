// Turbo mode, and everything else on SQLite over JSI, as far as Node can run it (native.cjs).

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { NetworkError } from 'melon-sync'

const require = createRequire(import.meta.url)
const native = require('./native.cjs') // before WatermelonDB is loaded
await native.ready
const { assertConverged, assertFails, Database, modelClasses, newDatabase, newPhone, phones, schema, watermelon } =
  await import('./support.js')
const { default: SQLiteAdapter } = watermelon('/adapters/sqlite')

function sqliteDatabase(options = {}) {
  const adapter = new SQLiteAdapter({ dbName: 'test', schema, jsi: true, ...options })
  return new Database({ adapter, modelClasses })
}

/** A person with 3 projects, and a second phone on SQLite over JSI. */
async function twoPhones() {
  const [a] = await phones(1)
  await a.createMany('projects', [1, 2, 3].map((n) => ({ name: `Project ${n}`, description: null })))
  await a.create('tasks', { title: 'Paint', is_completed: true, project_id: 'p' })
  await a.edit('tasks', (await a.database.get('tasks').query().fetch())[0].id, {
    project_id: (await a.database.get('projects').query().fetch())[0].id,
  })
  await a.sync()
  const b = await newPhone({ database: sqliteDatabase() })
  b.email = a.email
  await b.client.login(b.credentials)
  return { a, b, loads: native.loads }
}

test('a first sync into an empty SQLite over JSI goes by Turbo mode', async () => {
  const { a, b, loads } = await twoPhones()
  const told = []
  const result = await b.sync({ onProgress: (progress) => told.push(progress) })
  assert.deepEqual([result.isTurbo, result.isFirst, result.pulled], [true, true, null])
  assert.equal(native.loads, loads + 1)
  assert.deepEqual(told, [{ phase: 'apply', records: null }])
  assert.deepEqual(await b.records(), await a.records())
  assert.equal(result.timestamp, await a.lastPulledAt())
  const next = await b.sync()
  assert.deepEqual([next.isTurbo, next.pulled], [false, 0])
  await assertConverged(a, b)
})

test('SQLite’s 0 and 1 are verified as the booleans they are', async () => {
  const { b } = await twoPhones()
  const { identical, tables } = await b.client.verify(b.database)
  assert.equal(identical, true)
  assert.equal(tables.tasks.here.count, 1)
})

test('Turbo mode can be declined', async () => {
  const { b, loads } = await twoPhones()
  const { isTurbo, pulled } = await b.sync({ turbo: false })
  assert.deepEqual([isTurbo, pulled, native.loads], [false, 4, loads])
})

test('with work from before the sign-in there is no Turbo mode: it inserts', async () => {
  const { a, b, loads } = await twoPhones()
  await b.create('projects', { name: 'Made offline' })
  const { isTurbo, pushed } = await b.sync()
  assert.deepEqual([isTurbo, pushed, native.loads], [false, 1, loads])
  await assertConverged(a, b)
})

test('an answer that is cut in Turbo mode leaves nothing behind, and is asked for in pages', async () => {
  const { a, b } = await twoPhones()
  b.network.on('/sync/pull', 'halve')
  assert.equal((await b.sync()).isTurbo, false)
  assert.deepEqual(await b.records(), await a.records())
})

test('neither LokiJS nor SQLite without JSI has a Turbo mode', async () => {
  const { canTurbo } = await import('../dist/esm/turbo.js')
  const { Private } = await import('../dist/esm/private.js')
  const own = new Private()
  assert.equal(await canTurbo(newDatabase(), own), false)
  const slow = Object.create(sqliteDatabase().adapter.underlyingAdapter)
  slow._dispatcherType = 'asynchronous'
  const database = new Database({ adapter: slow, modelClasses })
  assert.equal(await canTurbo(database, own), false)
  assert.equal(await canTurbo(sqliteDatabase(), own), true)
})

test('somebody else’s answer in Turbo mode is none: the first sync goes on in pages', async () => {
  const { a, b, loads } = await twoPhones()
  b.network.on('/sync/pull', { status: 200, headers: {}, body: '<h1>Hotel</h1>' })
  assert.equal((await b.sync()).isTurbo, false)
  assert.equal(native.loads, loads)
  await assertConverged(a, b)
})

test('one that looks whole and cannot be loaded leaves nothing behind, and is asked for in pages', async () => {
  const { a, b, loads } = await twoPhones()
  const twice = ({ changes, timestamp }) => {
    changes.projects.created.push(changes.projects.created[0])
    return { changes, timestamp }
  }
  b.network.on('/sync/pull', { alter: twice })
  const { isTurbo, pulled } = await b.sync()
  assert.deepEqual([isTurbo, pulled, native.loads], [false, 4, loads])
  await assertConverged(a, b)
})

test('a push that fails after Turbo mode is the error; what was loaded stays', async () => {
  const { a, b, loads } = await twoPhones()
  b.network.on('/sync/pull', { late: () => b.create('projects', { name: 'Made meanwhile' }) })
  b.network.on('/sync/push', ...Array(5).fill('cut'))
  await assertFails(b.sync(), NetworkError, 'network_failed')
  assert.equal(native.loads, loads + 1)
  assert.equal(b.network.count('/sync/pull'), 1)
  await assertConverged(a, b)
})
