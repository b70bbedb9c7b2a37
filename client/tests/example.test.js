// The examples' own code, examples/expo/src/core, on SQLite as far as Node can run it (native.cjs).

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import Module, { createRequire } from 'node:module'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { memoryStorage } from 'melon-sync'

const require = createRequire(import.meta.url)
await require('./native.cjs').ready // before WatermelonDB is loaded
const { Database, newPhone, PASSWORD, watermelon } = await import('./support.js')
const { default: SQLiteAdapter } = watermelon('/adapters/sqlite')
const { App } = compiled('app')
const { modelClasses, schema } = compiled('schema')

/** A module of the examples, as an app's bundler makes it. */
function compiled(name) {
  const entry = fileURLToPath(new URL(`../../examples/expo/src/core/${name}.ts`, import.meta.url))
  const external = ['@nozbe/watermelondb', 'melon-sync']
  const options = { bundle: true, write: false, format: 'cjs', external, logLevel: 'error' }
  const { outputFiles } = require('esbuild').buildSync({ entryPoints: [entry], ...options })
  const made = new Module(fileURLToPath(new URL(`${name}.cjs`, import.meta.url)))
  made.paths = Module._nodeModulePaths(fileURLToPath(new URL('.', import.meta.url)))
  made.filename = fileURLToPath(new URL(`${name}.cjs`, import.meta.url))
  made._compile(outputFiles[0].text, made.filename)
  return made.exports
}

async function newApp(storage = memoryStorage(), known = undefined) {
  const network = known ?? (await newPhone()).network
  const openDatabase = (dbName) =>
    new Database({ adapter: new SQLiteAdapter({ dbName, schema, jsi: true }), modelClasses })
  const app = new App({ url: network.url, storage, openDatabase })
  const seen = []
  app.subscribe(() => seen.push(app.state))
  return { app, network, seen, storage }
}

const newPerson = () => ({ email: `${randomUUID()}@example.com`, password: PASSWORD })

/** Someone with a list of two tasks, all of it synced. */
async function aShopper() {
  const person = newPerson()
  const phone = await newApp()
  await phone.app.enter('register', person)
  await phone.app.addList('Groceries')
  for (const title of ['Milk', 'Bread']) await phone.app.addTask(phone.app.state.lists[0].id, title)
  return { ...phone, person }
}

const told = ({ lists }) => lists.map(({ name, tasks }) => [name, tasks.map(({ title }) => title)])
const GROCERIES = [['Groceries', ['Milk', 'Bread']]]

test('a second phone shows the same, and that it is fetching', async () => {
  const { app, person } = await aShopper()
  assert.ok(!app.state.lists[0].tasks.some(({ isUnsynced }) => isUnsynced))
  const { app: other, seen } = await newApp()
  await other.enter('login', person)
  assert.deepEqual(told(other.state), GROCERIES)
  assert.ok(seen.some(({ firstSync }) => firstSync !== null))
  assert.deepEqual([other.state.firstSync, other.state.isSyncing], [null, false])
  await other.tick(other.state.lists[0].tasks[0].id, true)
  await app.sync()
  assert.deepEqual(app.state.lists[0].tasks.map(({ isCompleted }) => isCompleted), [true, false])
})

test('offline is no error: what is written waits, and goes up later', async () => {
  const { app, network } = await aShopper()
  network.always('cut')
  await app.addTask(app.state.lists[0].id, 'Tea')
  assert.deepEqual([app.state.isOffline, app.state.message], [true, null])
  assert.deepEqual(app.state.lists[0].tasks.map(({ isUnsynced }) => isUnsynced), [false, false, true])
  assert.equal(await app.hasUnsynced(), true)
  network.calm()
  await app.sync()
  assert.equal(app.state.isOffline, false)
  assert.equal(await app.hasUnsynced(), false)
  assert.ok(!app.state.lists[0].tasks.some(({ isUnsynced }) => isUnsynced))
})

test('an error is a sentence for a person', async () => {
  const { app, person } = await aShopper()
  await app.switchTo(null)
  await app.enter('login', { ...person, password: 'another password' })
  assert.equal(app.state.message, 'This address and password do not belong together.')
  await app.enter('register', person)
  assert.match(app.state.message, /^There is an account with this address/)
  await app.enter('register', { email: 'no address', password: 'short' })
  assert.match(app.state.message, /8 characters|Shorter/)
  await app.enter('login', person)
  await app.addTask(app.state.lists[0].id, 'x'.repeat(300))
  assert.equal(app.state.message, '1 could not be saved.')
})

test('two people on one phone have a database each, and need no password to take turns', async () => {
  const { app, person } = await aShopper()
  const other = newPerson()
  await app.switchTo(null)
  await app.enter('register', other)
  assert.deepEqual(told(app.state), [])
  await app.addList('Tools')
  const [{ slot, email }] = app.state.others
  assert.equal(email, person.email)
  await app.switchTo(slot)
  assert.deepEqual(told(app.state), GROCERIES)
  await app.switchTo(app.state.others[0].slot)
  assert.deepEqual(told(app.state), [['Tools', []]])
})

test('who comes back finds what was not uploaded, unless it was deleted', async () => {
  const { app, network, person } = await aShopper()
  network.always('cut')
  await app.addTask(app.state.lists[0].id, 'Tea')
  await app.leave(true)
  assert.deepEqual([app.state.email, app.state.others.length], [null, 1])
  await app.switchTo(app.state.others[0].slot)
  assert.match(app.state.message, /^Sign in again/)
  network.calm()
  await app.enter('login', person)
  assert.deepEqual(told(app.state), [['Groceries', ['Milk', 'Bread', 'Tea']]])
  await app.leave(false)
  assert.deepEqual([told(app.state), app.state.others], [[], []])
})

test('a start goes on as whoever was here last', async () => {
  const { app, network, storage } = await aShopper()
  const { email } = app.state
  const { app: next } = await newApp(storage, network)
  await next.resume()
  assert.equal(next.state.email, email)
  assert.deepEqual(told(next.state), GROCERIES)
})
