// docs/troubleshooting.md: what schemas, models and writers say next to a sync.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { Account, NEW_APP, OLD_APP } from './account.js'
import { takeLines } from './phone.js'
import { Explained, syncing } from './troubleshooting.js'

const require = createRequire(import.meta.url)
const { Database, Model, appSchema, tableSchema } = require('@nozbe/watermelondb')
const { default: LokiJSAdapter } = require('@nozbe/watermelondb/adapters/lokijs')
const migrations = require('@nozbe/watermelondb/Schema/migrations')

const guide = new Explained((chapter) => /^(Schemas|Reading)/.test(chapter))

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

test('Node takes WatermelonDB as CommonJS alone', async () => {
  const folder = '@nozbe/watermelondb/adapters/lokijs'
  await guide.throws(() => import(folder))
  const { default: module } = await import(`${folder}/index.js`)
  const start = async () => {
    const LokiJSAdapter = module
    return new LokiJSAdapter({})
  }
  await guide.throws(start)
  assert.equal(module.default, LokiJSAdapter)
})

test('without a migration the database is emptied, and what was not pushed is lost', async () => {
  const { phone, kept } = await updatedTo({ schema: version(3), migrations: steps(3) })
  assert.equal(await phone.record('projects', kept), undefined)
  guide.logged('Migrations not available for this version range')
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
  guide.logged('Database has newer version')
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

const LAST_VERSION = '__watermelon_last_pulled_schema_version'

test('migrationsEnabledAtVersion and its conditions', async () => {
  const app = { schema: version(3), migrations: steps(2, 3) }
  const { account, phone, kept } = await updatedTo(app)
  const from = (migrationsEnabledAtVersion) => () => syncing(phone, { migrationsEnabledAtVersion })
  await guide.throws(from('1'))
  await guide.throws(from(4))
  await phone.database.adapter.removeLocal(LAST_VERSION)
  await from(1)()
  guide.logged('Using fallback initial schema version')
  await phone.restart({ ...app, migrations: steps(3) })
  await guide.throws(from(1))
  await phone.database.adapter.setLocal(LAST_VERSION, '1')
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
  guide.logged('You are trying to sync a collection named tasks')
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

const said = (part) => guide.takeShown().some((line) => line.includes(part))

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
  guide.logged('sent over the bridge')
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

const NOT_LINKED =
  "NativeModules.WMDatabaseBridge is not defined! This means that you haven't properly linked WatermelonDB native module. " +
  'Refer to docs for instructions about installation (and the changelog if this happened after an upgrade).'

guide.testTheRest({
  "Cannot read property 'initializeJSI' of undefined": 'Hermes, where there is no native module',
  [NOT_LINKED]: 'src/adapters/sqlite/makeDispatcher/index.native.js',
  '[SQLite] Migrations not available for this version range, resetting database instead':
    'src/adapters/sqlite/index.js',
  'Database has newer version (…) than what the app supports (…). Will reset database.':
    'native/shared/DatabaseBridge.cpp',
})
