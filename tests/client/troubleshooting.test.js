// docs/troubleshooting.md: the client prints what the page says, and the remedies help.
// What the server says is in troubleshooting_server.test.js.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { test } from 'node:test'
import { Account, NEW_APP, OLD_APP } from './account.js'
import { Messages, pageText, snippet } from './guide.js'
import { takeLines } from './phone.js'

const require = createRequire(import.meta.url)
const { Database, Model, appSchema, tableSchema } = require('@nozbe/watermelondb')
const { default: LokiJSAdapter } = require('@nozbe/watermelondb/adapters/lokijs')
const { synchronize } = require('@nozbe/watermelondb/sync')
const migrations = require('@nozbe/watermelondb/Schema/migrations')

const PAGE = 'docs/troubleshooting.md'
const guide = new Messages(PAGE, (chapter) => !chapter.startsWith('The server'))

/** Those of native code and other engines: their words are in the client's sources, or are theirs. */
const ELSEWHERE = {
  "Cannot read property 'timestamp' of undefined": 'Hermes, the engine of React Native',
  'JSON Parse error: Unexpected character: <': 'Hermes, the engine of React Native',
  'provideSyncJson unavailable. Use JSI mode to enable.': 'src/adapters/sqlite/index.js',
  '[SQLite] Migrations not available for this version range, resetting database instead':
    'src/adapters/sqlite/index.js',
  'Database has newer version (…) than what the app supports (…). Will reset database.':
    'native/shared/DatabaseBridge.cpp',
}

/** Sync as an app does, with something wrong in it. */
function syncing(phone, more = {}) {
  const { pullChanges, pushChanges } = phone.client
  const own = { pullChanges, pushChanges, migrationsEnabledAtVersion: 1, ...more }
  return synchronize({ database: phone.database, ...own })
}

/** What the client has logged, all of which is in the guide. */
function takeShown() {
  const lines = takeLines().filter((line) => !line.includes('option is now deprecated'))
  lines.forEach((line) => guide.shows(line))
  return lines
}

/** It has logged a message with `part`, so many times. */
function logged(part, count = 1) {
  const lines = takeShown()
  assert.equal(lines.filter((line) => line.includes(part)).length, count, lines.join('\n'))
}

const local = (phone, key, value) =>
  value === undefined
    ? phone.database.adapter.removeLocal(key)
    : phone.database.adapter.setLocal(key, value)
const LAST_PULLED_AT = '__watermelon_last_pulled_at'
const LAST_VERSION = '__watermelon_last_pulled_schema_version'
const reset = ({ database }) => database.write(() => database.unsafeResetDatabase())

// --- A sync says ---------------------------------------------------------------------------------

/** A phone that has pushed, not pulled since, and signs in again. */
async function signsInAgain(options, meanwhile = () => {}) {
  const account = new Account()
  const phone = await account.phone(options)
  await phone.sync()
  const project = await phone.create('projects', { name: 'Home' })
  await phone.sync()
  await phone.logout()
  await phone.login()
  await meanwhile(phone, project)
  await phone.sync()
  return { account, phone, project }
}

test('signed in again without a device_id: created, but it is there; edits are kept', async () => {
  const edit = (phone, id) => phone.edit('projects', id, { description: 'meanwhile' })
  const { account, project } = await signsInAgain({}, edit)
  logged('already exists locally. This')
  assert.equal((await account.converge()).projects[project].description, 'meanwhile')
})

test('signed in again without a device_id: a deletion is undone, and done again', async () => {
  const remove = (phone, id) => phone.remove('projects', id)
  const { account, phone, project } = await signsInAgain({}, remove)
  logged('is marked as deleted')
  assert.deepEqual(Object.keys((await account.converge()).projects), [project])
  await phone.remove('projects', project)
  assert.deepEqual((await account.converge()).projects, {})
})

test('with the device_id that its database keeps it stays the same phone', async () => {
  const { deviceId } = await snippet(PAGE, 'device-id')
  const account = new Account()
  const { database } = await account.phone()
  const own = await deviceId(database)
  assert.match(own, /^\w{16}$/)
  assert.equal(await deviceId(database), own)
  await signsInAgain({ deviceId: own }, (phone, id) => phone.remove('projects', id))
  assert.deepEqual(takeLines().filter((line) => line.includes('[Sync]')), [])
})

/** Two phones edit different columns of one record; what becomes of the first edit. */
async function descriptionAfter(first, second) {
  const account = new Account()
  const a = await account.phone(first)
  await a.sync()
  const b = await account.phone(second)
  await b.sync()
  const task = await a.create('projects', { name: 'Home' })
  await a.sync()
  await b.sync()
  await a.sync()
  await a.edit('projects', task, { description: 'from a' })
  await b.edit('projects', task, { name: 'from b' })
  await b.sync({ beforePush: () => a.sync() })
  return (await account.converge()).projects[task].description
}

test('two phones with one device_id: told to update, and an edit is lost', async () => {
  const shared = { deviceId: 'constant' }
  assert.notEqual(await descriptionAfter(shared, shared), 'from a')
  logged("but it doesn't exist locally")
})

test('two phones with a device_id each keep both edits', async () => {
  assert.equal(await descriptionAfter({ deviceId: 'a' }, { deviceId: 'b' }), 'from a')
})

test('two syncs at once: the later one is aborted; shared, both are one', async () => {
  const account = new Account()
  const a = await account.phone()
  await a.create('projects', { name: 'Home' })
  const [first, second] = await Promise.allSettled([syncing(a), syncing(a)])
  const failed = [first, second].filter(({ status }) => status === 'rejected')
  assert.equal(failed.length, 1)
  guide.shows(failed[0].reason.message)
  const { syncOnce } = await snippet(PAGE, 'once')
  await a.create('projects', { name: 'Garden' })
  const running = syncOnce(a.database, a.token)
  assert.equal(syncOnce(a.database, a.token), running)
  await running
  await syncOnce(a.database, a.token)
  assert.equal(Object.keys((await account.converge()).projects).length, 2)
})

test('an error that nobody looked at, and none at all, are no answers', async () => {
  const account = new Account()
  const a = await account.phone()
  const project = await a.create('projects', { name: 'Home' })
  const unchecked = () =>
    fetch(`${process.env.MELON_URL}/api/v1/sync/pull`).then((answer) => answer.json())
  await guide.throws(() => syncing(a, { pullChanges: unchecked }))
  await guide.throws(() => syncing(a, { pullChanges: async () => {} }))
  assert.deepEqual(Object.keys((await account.converge()).projects), [project])
})

test('a page of somebody else between the phone and the server', async () => {
  const portal = createServer((_, answer) => answer.end('<!DOCTYPE html><title>Welcome</title>'))
  await new Promise((resolve) => portal.listen(0, '127.0.0.1', resolve))
  const account = new Account()
  const a = await account.phone()
  const project = await a.create('projects', { name: 'Home' })
  const pullChanges = async () => (await fetch(`http://127.0.0.1:${portal.address().port}`)).json()
  await guide.throws(() => syncing(a, { pullChanges }))
  portal.close()
  portal.closeAllConnections()
  assert.deepEqual(Object.keys((await account.converge()).projects), [project])
})

test('a table without a model class is skipped for good, but for a replacement', async () => {
  const account = new Account()
  const { task } = await account.twoPhones()
  const old = await account.phone({ app: OLD_APP })
  await old.sync()
  logged('You are trying to sync a collection named tasks')
  await old.restart(NEW_APP)
  await syncing(old, { migrationsEnabledAtVersion: undefined })
  assert.equal(await old.record('tasks', task), undefined)
  await old.sync({ replacement: true })
  assert.equal((await old.record('tasks', task)).title, 'Paint')
  await account.converge()
})

test('a reset in the middle of a sync, and in front of a writer', async () => {
  const account = new Account()
  const { a } = await account.twoPhones()
  const pullChanges = async (args) => {
    const pulled = await a.client.pullChanges(args)
    await reset(a)
    return pulled
  }
  await guide.throws(() => syncing(a, { pullChanges }))
  const waiting = []
  await a.database.write(async () => {
    waiting.push(guide.throws(() => a.database.write(async () => {})))
    await a.database.unsafeResetDatabase()
  })
  await Promise.all(waiting)
  await account.converge()
})

test('an app that removes lastPulledAt to have everything again', async () => {
  const account = new Account()
  const { a, task } = await account.twoPhones()
  await a.sync()
  await local(a, LAST_PULLED_AT)
  await a.edit('tasks', task, { title: 'Paint twice' })
  await a.sync()
  assert.equal(takeShown().length, 3) // and one for each record
  assert.equal((await account.converge()).tasks[task].title, 'Paint twice')
  await a.sync({ replacement: true })
  await account.converge()
})

test('answers and changes that the app changed on the way', async () => {
  const account = new Account()
  const { a, b, project } = await account.twoPhones()
  const changed = (change) => async (args) => change(await a.client.pullChanges(args))
  const inSeconds = changed((pulled) => ({ ...pulled, timestamp: pulled.timestamp / 1000 }))
  await syncing(a, { pullChanges: inSeconds })
  logged('previous pulled-at time was greater')
  await b.create('tasks', { title: 'New', project_id: project })
  await b.sync()
  const wrapped = changed((pulled) => {
    const created = pulled.changes.tasks.created.map((record) => ({ record }))
    return { ...pulled, changes: { tasks: { ...pulled.changes.tasks, created } } }
  })
  await guide.throws(() => syncing(a, { pullChanges: wrapped }))
  await a.create('tasks', { title: 'Mine', project_id: project })
  const pushChanges = (args) => {
    args.changes.tasks.created.push({ id: 'added', title: 'Added', project_id: project })
    return a.client.pushChanges(args)
  }
  await syncing(a, { pushChanges })
  logged('to mark it as synced', 1)
  const titles = Object.values((await account.converge()).tasks).map(({ title }) => title)
  assert.deepEqual(titles.sort(), ['Added', 'Mine', 'New', 'Paint'])
  takeLines()
})

test('sendCreatedAsUpdated is not needed', async () => {
  const account = new Account()
  await account.twoPhones()
  const fresh = await account.phone()
  await syncing(fresh, { sendCreatedAsUpdated: true })
  logged("'sendCreatedAsUpdated' option is enabled", 2)
  await account.converge()
})

test('Turbo where it cannot be', async () => {
  const account = new Account()
  const { a } = await account.twoPhones()
  const asText = async (args) => ({ syncJson: JSON.stringify(await a.client.pullChanges(args)) })
  const turbo = (more) => () => syncing(a, { unsafeTurbo: true, ...more })
  await guide.throws(turbo({}))
  await guide.throws(turbo({ pullChanges: asText }))
  await guide.throws(turbo({ pullChanges: asText, _unsafeBatchPerCollection: true }))
  await reset(a)
  await guide.throws(turbo({ pullChanges: asText }))
  await account.converge()
})

// --- Schemas, migrations, models -----------------------------------------------------------------

const COLUMNS = [
  { name: 'name', type: 'string' },
  { name: 'created_at', type: 'number' },
  { name: 'updated_at', type: 'number' },
]
const PROJECTS = (...more) => tableSchema({ name: 'projects', columns: [...COLUMNS, ...more] })
const PRIORITY = { name: 'priority', type: 'number' }
const version = (number) => appSchema({ version: number, tables: [PROJECTS()] })
const steps = (...versions) =>
  migrations.schemaMigrations({
    migrations: versions.map((toVersion) => ({ toVersion, steps: [] })),
  })

/** A phone of version 1 with an edit that waits, started as this app. */
async function updatedTo(app) {
  const account = new Account()
  const old = { schema: version(1), migrations: steps() }
  const phone = await account.phone({ app: old })
  const kept = await phone.create('projects', { name: 'pushed' })
  await phone.sync()
  await phone.edit('projects', kept, { name: 'not pushed' })
  takeLines()
  await phone.restart(app)
  return { account, phone, kept }
}

test('without a migration the database is emptied, and what was not pushed is lost', async () => {
  const { phone, kept } = await updatedTo({ schema: version(3), migrations: steps(3) })
  assert.equal(await phone.record('projects', kept), undefined)
  logged('Migrations not available for this version range')
  await syncing(phone, { migrationsEnabledAtVersion: 2 })
  assert.equal((await phone.record('projects', kept)).name, 'pushed')
  takeLines()
})

test('with every migration it keeps them', async () => {
  const { phone, kept } = await updatedTo({ schema: version(3), migrations: steps(2, 3) })
  await phone.sync()
  assert.equal((await phone.record('projects', kept)).name, 'not pushed')
  takeLines()
})

test('an older app over a newer one empties the database, too', async () => {
  const { phone, kept } = await updatedTo({ schema: version(2), migrations: steps(2) })
  await phone.restart({ schema: version(1), migrations: steps() })
  assert.equal(await phone.record('projects', kept), undefined)
  logged('Database has newer version')
  await phone.sync()
  assert.equal((await phone.record('projects', kept)).name, 'pushed')
  takeLines()
})

const OPTIONS = {
  useWebWorker: false,
  useIncrementalIndexedDB: false,
  extraLokiOptions: { autosave: false }, // its timer would keep node alive
}
const adapter = (app) => new LokiJSAdapter({ ...OPTIONS, ...app })
/** Another database over the phone's adapter. */
const another = (phone, modelClasses) =>
  new Database({ adapter: phone.database.adapter.underlyingAdapter, modelClasses })
const throwsAtOnce = (work) => guide.throws(async () => work())

test('a schema and migrations that do not meet', async () => {
  await throwsAtOnce(() => adapter({ schema: version(2), migrations: steps() }))
  await throwsAtOnce(() => adapter({ schema: version(1), migrations: steps(2) }))
  adapter({ schema: version(2), migrations: steps(2) })
})

test('migrationsEnabledAtVersion and its conditions', async () => {
  const app = { schema: version(3), migrations: steps(2, 3) }
  const { account, phone, kept } = await updatedTo(app)
  const from = (migrationsEnabledAtVersion) => () => syncing(phone, { migrationsEnabledAtVersion })
  await guide.throws(from('1'))
  await guide.throws(from(4))
  await local(phone, LAST_VERSION)
  await from(1)()
  logged('Using fallback initial schema version')
  await phone.restart({ ...app, migrations: steps(3) })
  await guide.throws(from(1))
  await local(phone, LAST_VERSION, '1')
  await guide.throws(from(2))
  await phone.restart({ schema: version(3), migrations: undefined })
  await guide.throws(from(1))
  await phone.restart(app)
  await from(1)()
  assert.equal((await phone.record('projects', kept)).name, 'not pushed')
  assert.equal(account.phones.length, 1)
  takeLines()
})

test('without migration syncs, older records of a new table stay away', async () => {
  const account = new Account()
  const { task } = await account.twoPhones()
  const updated = async () => {
    const old = await account.phone({ app: OLD_APP })
    await old.sync()
    await old.restart(NEW_APP)
    return old
  }
  const [bare, complete] = [await updated(), await updated()]
  await syncing(bare, { migrationsEnabledAtVersion: undefined })
  assert.equal(await bare.record('tasks', task), undefined)
  await complete.sync()
  assert.equal((await complete.record('tasks', task)).title, 'Paint')
  takeLines()
})

test('columns that cannot be', async () => {
  await throwsAtOnce(() => PROJECTS({ name: 'id', type: 'string' }))
  await throwsAtOnce(() => PROJECTS({ name: 'created_at', type: 'string' }))
  await throwsAtOnce(() => PROJECTS({ ...PRIORITY, type: 'integer' }))
  PROJECTS(PRIORITY)
})

test('a model without a table is told', async () => {
  class Note extends Model {
    static table = 'notes'
  }
  const open = () =>
    new Database({ adapter: adapter({ schema: version(1) }), modelClasses: [Note] })
  await throwsAtOnce(open)
})

test('what is in a table without a model is not pushed', async () => {
  const account = new Account()
  const { a, project } = await account.twoPhones()
  const task = await a.create('tasks', { title: 'New', project_id: project })
  const { modelClass } = a.database.get('projects')
  await a.restart()
  a.database = another(a, [modelClass])
  await a.sync()
  assert.equal(a.traffic.pushed, undefined)
  logged('You are trying to sync a collection named tasks')
  await a.restart()
  assert.equal((await account.converge()).tasks[task].title, 'New')
})

// --- Reading and writing next to a sync ----------------------------------------------------------

test('writing outside of a writer', async () => {
  const { a, task } = await new Account().twoPhones()
  const record = await a.database.get('tasks').find(task)
  await guide.throws(() => record.update(() => {}))
  await guide.throws(() => a.database.get('tasks').create(() => {}))
  await a.edit('tasks', task, { title: 'inside' })
  assert.equal(record._raw.title, 'inside')
})

test('a sync inside a writer waits for itself', async () => {
  const { a } = await new Account().twoPhones()
  let running
  await a.database.write(async () => {
    running = syncing(a) // an app that awaits it here would wait for ever
    while (!said('sync-synchronize-apply')) await new Promise((go) => setTimeout(go, 50))
  })
  await running
})

const said = (part) => takeShown().some((line) => line.includes(part))

test('a record that is prepared while a sync comes', async () => {
  const account = new Account()
  const { a, b, task } = await account.twoPhones()
  await b.editAndSync('tasks', task, { title: 'from b' })
  const record = await a.database.get('tasks').find(task)
  const before = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  const told = new Promise((resolve) => process.once('uncaughtException', resolve))
  record.prepareUpdate(() => {})
  guide.shows((await told).message)
  before.forEach((listener) => process.on('uncaughtException', listener))
  await guide.throws(() => a.sync())
  await a.restart()
  assert.equal((await account.converge()).tasks[task].title, 'from b')
  takeLines()
})

test('two databases over one adapter', async () => {
  const account = new Account()
  const { a } = await account.twoPhones()
  const models = ['projects', 'tasks'].map((table) => a.database.get(table).modelClass)
  const second = another(a, models)
  await guide.throws(() => second.get('projects').query().fetch())
  logged('sent over the bridge')
  await a.restart()
  await account.converge()
})

test('a record that another phone deleted', async () => {
  const account = new Account()
  const { a, b, task } = await account.twoPhones()
  const record = await a.database.get('tasks').find(task)
  const ended = new Promise((complete) => record.observe().subscribe({ complete }))
  await b.remove('tasks', task)
  await b.sync()
  await a.sync()
  await ended
  await guide.throws(() => a.database.get('tasks').find(task))
  const edit = () => record.update(() => record._setRaw('title', 'Too late'))
  await guide.throws(() => a.database.write(edit))
  assert.deepEqual((await account.converge()).tasks, {})
})

// --- Nothing is said, but a change is missing ----------------------------------------------------

test('a refused push that the app did not look at is taken for stored', async () => {
  const account = new Account()
  const { a, project } = await account.twoPhones()
  const lost = await a.create('tasks', { title: 'x'.repeat(256), project_id: project })
  await syncing(a, { pushChanges: (args) => a.client.pushChanges(args).catch(() => {}) })
  assert.equal(await a.hasUnsyncedChanges(), false)
  await a.edit('tasks', lost, { title: 'Short' })
  assert.equal((await account.converge()).tasks[lost].title, 'Short')
})

test('a second account on one database, and one that was reset in between', async () => {
  const ada = new Account()
  const { a, task } = await ada.twoPhones()
  const bob = new Account()
  const own = await bob.phone()
  const project = await own.create('projects', { name: 'of Bob' })
  await own.sync()
  await a.editAndSync('tasks', task, { title: 'of Ada' }) // later than all that Bob has
  await a.sync()
  const unsynced = await a.create('projects', { name: 'of Ada' })
  a.email = bob.email
  await a.login()
  await a.sync()
  assert.equal(await a.record('projects', project), undefined)
  await own.sync()
  assert.equal((await own.record('projects', unsynced)).name, 'of Ada')
  assert.equal((await a.record('tasks', task)).title, 'of Ada')
  await reset(a)
  await a.sync()
  assert.deepEqual(await a.records(), await own.records())
  takeLines()
})

// --- The page ------------------------------------------------------------------------------------

test('every message of the page was printed here, or is in the sources', () => {
  assert.deepEqual(guide.rest.sort(), Object.keys(ELSEWHERE).sort())
  const client = require.resolve('@nozbe/watermelondb/package.json').replace('package.json', '')
  for (const [message, place] of Object.entries(ELSEWHERE)) {
    if (!place.includes('/')) continue
    const source = readFileSync(join(client, place), 'utf8').replace(/[^]*?`\$\{/, '')
    for (const part of message.split('…')) assert.ok(source.includes(part), `${place}: ${part}`)
  }
})

test('every snippet of the page is run by a test', () => {
  const names = Array.from(pageText(PAGE).matchAll(/^```\w+ (\S+)$/gm), ([, name]) => name)
  const here = readdirSync(import.meta.dirname).filter((name) => name.startsWith('troubleshooting'))
  const tests = here.map((name) => readFileSync(join(import.meta.dirname, name), 'utf8')).join('')
  assert.ok(names.length > 1)
  assert.deepEqual(names.filter((name) => !tests.includes(`snippet(PAGE, '${name}')`)), [])
  assert.equal(pageText(PAGE).match(/^```\w+$/gm), null)
})
