// The examples' own code, examples/expo/src/core, on SQLite as far as Node can run it (native.cjs).

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import Module, { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { memoryStorage } from 'melon-sync'

const require = createRequire(import.meta.url)
await require('./native.cjs').ready // before WatermelonDB is loaded
const { Database, newPhone, PASSWORD, watermelon } = await import('./support.js')
const { default: SQLiteAdapter } = watermelon('/adapters/sqlite')
const { App } = compiled('app')
const { modelClasses, schema } = compiled('schema')
const { fetching, sentence } = compiled('words')

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

const folder = mkdtempSync(join(tmpdir(), 'lists-'))
after(() => rmSync(folder, { recursive: true }))

/** What outlives the app: its tokens and its databases. */
const newDevice = () => ({ storage: memoryStorage(), files: mkdtempSync(join(folder, 'phone-')) })

async function newApp(device = newDevice(), known = undefined) {
  const network = known ?? (await newPhone()).network
  const openDatabase = (slot) => {
    const dbName = join(device.files, slot)
    return new Database({ adapter: new SQLiteAdapter({ dbName, schema, jsi: true }), modelClasses })
  }
  const app = new App({ url: network.url, storage: device.storage, openDatabase })
  return { app, network, device }
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
  const { app: other, network } = await newApp()
  let shown
  network.on('/sync/pull', async () => (shown = other.state.firstSync))
  await other.enter('login', person)
  assert.equal(shown, 0, 'it waited without a word')
  assert.deepEqual(told(other.state), GROCERIES)
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
  assert.deepEqual([told(app.state), app.state.message], [GROCERIES, null])
  await app.switchTo(app.state.others[0].slot)
  assert.deepEqual([told(app.state), app.state.message], [[['Tools', []]], null])
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
  const { app, network, device } = await aShopper()
  const { email } = app.state
  const { app: next } = await newApp(device, network)
  await next.resume()
  assert.equal(next.state.email, email)
  assert.deepEqual(told(next.state), GROCERIES)
})

test('at a start the lists are there before the network has answered', async () => {
  const { device, network } = await aShopper()
  const { app } = await newApp(device, network)
  network.always('hang')
  void app.resume()
  await new Promise((resolve) => {
    app.subscribe(() => app.state.isReady && resolve())
  })
  assert.deepEqual(told(app.state), GROCERIES)
  assert.equal(app.state.isSyncing, true)
})

test('a phone that does not say who was here leads to the sign-in, with a sentence', async () => {
  const get = () => Promise.reject(new Error('the keychain is locked'))
  const { app } = await newApp({ ...newDevice(), storage: { ...memoryStorage(), get } })
  await app.resume()
  assert.equal(app.state.isReady, true)
  assert.match(app.state.message, /keychain is locked/)
})

test('what the server says no to has words of its own', () => {
  const { ConflictError, ForbiddenError } = require('melon-sync')
  const words = (kind, code) => sentence(new kind(400, { code, detail: code }))
  assert.match(words(ForbiddenError, 'email_not_verified'), /^Open the mail/)
  assert.match(words(ForbiddenError, 'account_disabled'), /switched off/)
  assert.match(words(ForbiddenError, 'forbidden'), /may not/)
  assert.match(words(ConflictError, 'sync_conflict'), /Try again/)
  assert.deepEqual([0, 7].map(fetching), ['Fetching your lists…', 'Fetching your lists: 7 records'])
})
