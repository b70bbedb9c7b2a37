// An app in a process of its own, to be killed: its database and its tokens are files of a folder.
// restart.test.js forks it with {kind, folder, url, version} and calls it by messages.

import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const require = createRequire(import.meta.url)
const { kind, folder, url, version } = JSON.parse(process.argv[2])
const file = join(folder, 'database')
if (kind === 'sqlite') await require('./native.cjs').ready // before WatermelonDB is loaded
const { Database, expectComplaint, LokiJSAdapter, modelClasses, Phone, schema } = await import('./support.js')
const { appSchema } = require('@nozbe/watermelondb')
const { addColumns, schemaMigrations } = require('@nozbe/watermelondb/Schema/migrations')

expectComplaint('Will create record instead') // of what was pushed and never noted

// --- The first version of the app knows no description of a project

const { projects } = schema.tables
const description = projects.columns.description
const steps = [addColumns({ table: 'projects', columns: [description] })]
const migrationsOf = (which) => schemaMigrations({ migrations: which > 1 ? [{ toVersion: 2, steps }] : [] })

function schemaOf(which) {
  const columnArray = projects.columnArray.filter(({ name }) => which > 1 || name !== description.name)
  const columns = Object.fromEntries(columnArray.map((column) => [column.name, column]))
  const tables = { ...schema.tables, projects: { ...projects, columns, columnArray } }
  return appSchema({ version: which, tables: Object.values(tables) })
}

// --- On the disk: a file is there whole or as it was

const read = (path) => (existsSync(path) ? readFileSync(path, 'utf8') : null)

function write(path, text) {
  writeFileSync(`${path}~`, text)
  renameSync(`${path}~`, path)
}

/** In the place of IndexedDB, which Node has not. */
const lokiFiles = {
  loadDatabase: (path, done) => done(read(path)),
  saveDatabase: (path, text, done) => done(write(path, text)),
  deleteDatabase: (path, done) => done(rmSync(path, { force: true })),
}

function openDatabase() {
  const options = { schema: schemaOf(version), migrations: migrationsOf(version), dbName: file }
  if (kind === 'sqlite') {
    const SQLiteAdapter = require('@nozbe/watermelondb/adapters/sqlite').default
    return new Database({ adapter: new SQLiteAdapter({ ...options, jsi: true }), modelClasses })
  }
  const adapter = new LokiJSAdapter({
    ...options,
    useWebWorker: false,
    useIncrementalIndexedDB: false,
    _testLokiAdapter: lokiFiles,
  })
  return new Database({ adapter, modelClasses })
}

const storage = {
  get: (key) => read(join(folder, key)),
  set: (key, value) => write(join(folder, key), value),
  remove: (key) => rmSync(join(folder, key), { force: true }),
}

const phone = new Phone({ url }, { storage, database: openDatabase(), migrationsEnabledAtVersion: 1 })

const calls = {
  async signIn(how, email) {
    phone.email = email
    await phone.client[how](phone.credentials)
  },
  create: (table, values) => phone.create(table, values),
  edit: (table, id, values) => phone.edit(table, id, values),
  remove: (table, id) => phone.remove(table, id),
  sync: (options) => phone.sync(options),
  records: () => phone.records(),
  hasUnsynced: () => phone.client.hasUnsyncedChanges(phone.database),
  /** Until what was done is on the disk: LokiJS saves by itself, now and then. */
  async settle() {
    const loki = phone.database.adapter.underlyingAdapter._driver?.loki
    while (loki?.autosaveDirty()) await sleep(20)
  },
}

process.on('message', async ({ id, name, args }) => {
  try {
    process.send({ id, result: await calls[name](...args) })
  } catch (error) {
    process.send({ id, error: `${error.name} ${error.code ?? error.message}` })
  }
})
process.on('disconnect', () => process.exit())
