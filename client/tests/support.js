// People and their phones: the package as it is published, the stock WatermelonDB, a real server.

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { createRequire } from 'node:module'
import { after, afterEach } from 'node:test'
import { format } from 'node:util'
import * as found from 'melon-sync'
import * as core from 'melon-sync/core'
import { Network } from './network.js'

const require = createRequire(import.meta.url) // WatermelonDB is CommonJS without an exports map
/** Of the stock WatermelonDB, or of another one in the folder WATERMELON: then it is passed in. */
export const watermelon = (path = '') => require(`${process.env.WATERMELON ?? '@nozbe/watermelondb'}${path}`)
const { appSchema, Database, Model, Q, tableSchema } = watermelon()
const { default: LokiJSAdapter } = watermelon('/adapters/lokijs')
const { getLastPulledAt } = watermelon('/sync/impl')
const { synchronize } = watermelon('/sync')
const { default: logger } = watermelon('/utils/common/logger')
const { memoryStorage } = found

function createMelonClient(options) {
  if (!process.env.WATERMELON) return found.createMelonClient(options)
  return core.createMelonClient({ watermelon: { Q, synchronize }, ...options })
}

export { Database, LokiJSAdapter }
export const PASSWORD = 'correct-horse-battery'
const RETRY = { baseMs: 10, maxMs: 5_000 } // tests need not be patient

// --- What WatermelonDB complains of fails the test -----------------------------------------------

const complaints = []
const HARMLESS = ['useIncrementalIndexedDB: false} option is now deprecated']

/** From now on this file's tests expect that WatermelonDB complains so. */
export const expectComplaint = (part) => HARMLESS.push(part)

function note(...message) {
  const text = format(...message)
  if (!HARMLESS.some((part) => text.includes(part))) complaints.push(text)
}

Object.assign(logger, { log() {}, debug() {} })
Object.assign(console, { warn: note, error: note })

afterEach(() => {
  assert.deepEqual(complaints.splice(0), [], 'WatermelonDB complained')
})

// --- The app -------------------------------------------------------------------------------------

const TIMES = [
  { name: 'created_at', type: 'number' },
  { name: 'updated_at', type: 'number' },
]
const SPACE = { name: 'space_id', type: 'string', isOptional: true }
const DESCRIPTION = { name: 'description', type: 'string', isOptional: true }

const ownSchema = appSchema({
  version: 1,
  tables: [
    tableSchema({ name: 'projects', columns: [{ name: 'name', type: 'string' }, DESCRIPTION, ...TIMES] }),
    tableSchema({
      name: 'tasks',
      columns: [
        { name: 'title', type: 'string' },
        DESCRIPTION,
        { name: 'is_completed', type: 'boolean' },
        { name: 'project_id', type: 'string', isIndexed: true },
        ...TIMES,
      ],
    }),
  ],
})

export { ownSchema as schema }

/** The same, where projects may be shared (app/). */
export const sharedSchema = appSchema({
  version: 1,
  tables: Object.values(ownSchema.tables).map(({ name, columnArray }) =>
    tableSchema({ name, columns: name === 'projects' ? [...columnArray, SPACE] : columnArray }),
  ),
})

class Project extends Model {
  static table = 'projects'
}

class Task extends Model {
  static table = 'tasks'
}

export const modelClasses = [Project, Task]

export function newDatabase(modelClasses = [Project, Task], schema = ownSchema) {
  const options = { useWebWorker: false, useIncrementalIndexedDB: false }
  const extraLokiOptions = { autosave: false } // its timer would keep node alive
  const adapter = new LokiJSAdapter({ schema, ...options, extraLokiOptions })
  return new Database({ adapter, modelClasses })
}

// --- Phones --------------------------------------------------------------------------------------

const networks = []

after(() => networks.forEach((network) => network.close()))

/** A phone of nobody yet: a client, a database, and a network of its own to the server. */
export async function newPhone(options = {}) {
  const network = await Network.open()
  networks.push(network)
  return new Phone(network, options)
}

/** A new account, signed in on so many phones. */
export async function phones(count, options = {}) {
  const email = `${randomUUID()}@example.com`
  const all = []
  for (let index = 0; index < count; index += 1) {
    const phone = await newPhone(options)
    phone.email = email
    await (index ? phone.client.login(phone.credentials) : phone.client.register(phone.credentials))
    all.push(phone)
  }
  return all
}

export class Phone {
  email = `${randomUUID()}@example.com`
  events = []

  constructor(network, { storage = memoryStorage(), database = newDatabase(), ...options }) {
    Object.assign(this, { network, storage, database })
    this.client = this.newClient({ storage, ...options })
  }

  /** Another client of this phone's network: a second tab, say. */
  newClient(options) {
    const onEvent = (event) => this.events.push(event)
    return createMelonClient({ url: this.network.url, retry: RETRY, onEvent, ...options })
  }

  get credentials() {
    return { email: this.email, password: PASSWORD }
  }

  eventTypes() {
    return this.events.map(({ type }) => type)
  }

  sync(options) {
    return this.client.sync(this.database, options)
  }

  lastPulledAt() {
    return getLastPulledAt(this.database)
  }

  create(table, values) {
    return this.database.write(async () => {
      const record = await this.database.get(table).create((made) => set(made, values))
      return record.id
    })
  }

  createMany(table, all) {
    return this.database.write(async () => {
      const collection = this.database.get(table)
      const made = all.map((values) => collection.prepareCreate((record) => set(record, values)))
      await this.database.batch(made)
      return made.map(({ id }) => id)
    })
  }

  edit(table, id, values) {
    return this.database.write(async () => {
      const record = await this.database.get(table).find(id)
      await record.update(() => set(record, values))
    })
  }

  remove(table, id) {
    return this.database.write(async () => {
      const record = await this.database.get(table).find(id)
      await record.markAsDeleted()
    })
  }

  reset() {
    return this.database.write(() => this.database.unsafeResetDatabase())
  }

  /** {table: {id: columns}} */
  async records() {
    const all = {}
    for (const table of Object.keys(ownSchema.tables)) {
      const found = await this.database.get(table).query().fetch()
      all[table] = Object.fromEntries(found.map(({ _raw }) => [_raw.id, bare(_raw)]))
    }
    return all
  }

  /** What the last pull of this phone brought. */
  async hasPulledNothing() {
    const { pulled } = await this.sync()
    return pulled === 0
  }

  /** As after a quarter of an hour: the access token is about to expire. */
  async ageToken() {
    for (const key of ['melon.session.0', 'melon.session.1']) {
      const text = await this.storage.get(key)
      if (!text) continue
      const session = JSON.parse(text)
      await this.storage.set(key, JSON.stringify({ ...session, obtainedAt: session.obtainedAt - 1e6 }))
    }
  }

  async storedSession() {
    const texts = [await this.storage.get('melon.session.0'), await this.storage.get('melon.session.1')]
    const found = texts.filter(Boolean).map((text) => JSON.parse(text))
    return found.sort((a, b) => b.seq - a.seq)[0] ?? null
  }
}

function set(record, values) {
  for (const [column, value] of Object.entries(values)) record._setRaw(column, value)
}

function bare({ _status, _changed, ...columns }) {
  return columns
}

/** All phones, and one that is new, hold the same, and nothing is left to push. What they hold. */
export async function assertConverged(...all) {
  for (const phone of [...all, ...all]) await phone.sync()
  const fresh = await newPhone()
  fresh.email = all[0].email
  await fresh.client.login(fresh.credentials)
  await fresh.sync()
  const expected = await fresh.records()
  for (const phone of all) {
    assert.deepEqual(await phone.records(), expected)
    assert.equal(await phone.client.hasUnsyncedChanges(phone.database), false)
  }
  return expected
}

/** It fails with this class and, if given, code; the error. */
export async function assertFails(promise, kind, code) {
  const error = await promise.then(
    () => assert.fail('it did not fail'),
    (found) => found,
  )
  assert.ok(error instanceof kind, error.stack)
  if (code) assert.equal(error.code, code)
  return error
}

/** `work` with the clock of the device by so many ms ahead. */
export async function withClock(ms, work) {
  const { now } = Date
  Date.now = () => now() + ms
  try {
    return await work()
  } finally {
    Date.now = now
  }
}
