// A phone: the stock WatermelonDB client with a database of its own, over real HTTP.

import assert from 'node:assert/strict'
import { appendFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { afterEach } from 'node:test'
import { format } from 'node:util'

const require = createRequire(import.meta.url) // the client is CommonJS without an exports map
const { Database, Model } = require('@nozbe/watermelondb')
const { default: LokiJSAdapter } = require('@nozbe/watermelondb/adapters/lokijs')
const { hasUnsyncedChanges, synchronize } = require('@nozbe/watermelondb/sync')
const { default: logger } = require('@nozbe/watermelondb/utils/common/logger')

const API = `${process.env.MELON_URL}/api/v1`
const JSON_BODY = { 'Content-Type': 'application/json' }
export const PASSWORD = 'correct-horse-battery'

// --- What the client complains of ------------------------------------------------------------
// It logs a server's breach of the protocol and carries on. Here each such line fails its test.

const complaints = []
let lines = [] // all that was logged, harmless or not
const HARMLESS = [
  'useIncrementalIndexedDB: false} option is now deprecated',
  'but it does not exist. Will skip it (for forward-compatibility)', // an app older than the server
]

/** From now on this file's tests expect that the client complains so. */
export const expectComplaint = (part) => HARMLESS.push(part)

/** What was logged since, as the client worded it; it fails no test any more. */
export function takeLines() {
  const taken = lines
  lines = []
  complaints.length = 0
  return taken
}

function note(...message) {
  const text = format(...message)
  lines.push(message[0] instanceof Error ? message[0].message : text.replace(/^\[🍉\] /u, ''))
  if (HARMLESS.some((part) => text.includes(part))) return
  complaints.push(text)
  record({ complaint: text })
}

Object.assign(logger, { log() {}, debug() {} })
Object.assign(console, { warn: note, error: note })

afterEach(() => {
  assert.deepEqual(complaints.splice(0), [], 'the client complained')
})

// --- The app ---------------------------------------------------------------------------------

class Timestamped extends Model {
  // The client stamps records itself when their model has these two.
  get createdAt() {
    return new Date(this._getRaw('created_at'))
  }

  get updatedAt() {
    return new Date(this._getRaw('updated_at'))
  }
}

class Project extends Timestamped {
  static table = 'projects'
  static associations = { tasks: { type: 'has_many', foreignKey: 'project_id' } }
}

class Task extends Timestamped {
  static table = 'tasks'
  static associations = { projects: { type: 'belongs_to', key: 'project_id' } }
}

const MODELS = { projects: Project, tasks: Task }

/** A table that this server need not know has a model without anything. */
function modelOf(table) {
  class Other extends Model {
    static table = table
  }
  return MODELS[table] ?? Other
}

// --- How apps call the server ----------------------------------------------------------------

const SNIPPETS = {
  // docs/stock-client.md's.
  stock: (phone) => ({
    pullChanges: ({ lastPulledAt, schemaVersion, migration, replacement }) =>
      phone.call('POST', '/sync/pull', {
        headers: JSON_BODY,
        body: JSON.stringify({ lastPulledAt, schemaVersion, migration, replacement }),
      }),
    pushChanges: ({ changes, lastPulledAt }) =>
      phone.call('POST', '/sync/push', {
        headers: JSON_BODY,
        body: JSON.stringify({ changes, lastPulledAt, allowPartial: phone.allowPartial }),
      }),
  }),

  // That of WatermelonDB's docs ("Using `synchronize()` in your app").
  docs: (phone) => ({
    async pullChanges({ lastPulledAt, schemaVersion, migration }) {
      const urlParams = `last_pulled_at=${lastPulledAt}&schema_version=${schemaVersion}&migration=${encodeURIComponent(
        JSON.stringify(migration),
      )}`
      const { changes, timestamp } = await phone.call('GET', `/sync/pull?${urlParams}`)
      return { changes, timestamp }
    },
    async pushChanges({ changes, lastPulledAt }) {
      const body = JSON.stringify(changes)
      await phone.call('POST', `/sync/push?last_pulled_at=${lastPulledAt}`, { body })
    },
  }),
}

export class HttpError extends Error {
  constructor(status, text) {
    super(`${status} ${text}`)
    this.status = status
    this.problem = JSON.parse(text)
  }
}

const nothing = async () => {}

/** MELON_RECORD names a file that gets a line for each request, answer and edit on a phone. */
function record(entry) {
  const file = process.env.MELON_RECORD
  if (file) appendFileSync(file, `${JSON.stringify({ at: performance.now(), ...entry })}\n`)
}
let calls = 0

export class Phone {
  constructor(email, app, { deviceId, snippet = 'stock', allowPartial } = {}) {
    Object.assign(this, { email, deviceId, allowPartial })
    this.client = SNIPPETS[snippet](this)
    const options = { useWebWorker: false, useIncrementalIndexedDB: false }
    const extraLokiOptions = { autosave: false } // its timer would keep node alive
    this.open(new LokiJSAdapter({ ...app, ...options, extraLokiOptions }))
  }

  open(adapter) {
    const modelClasses = Object.keys(adapter.schema.tables).map(modelOf)
    this.database = new Database({ adapter, modelClasses })
  }

  /** The app is killed and started again, perhaps as a newer version. */
  async restart(app = {}) {
    const adapter = this.database.adapter.underlyingAdapter
    await this.database.adapter.getLocal('any') // it is set up by then
    await new Promise((resolve) => adapter._driver.loki.saveDatabase(resolve))
    this.note({ restart: true })
    this.open(await adapter.testClone(app))
  }

  // --- the account

  register() {
    return this.signIn('/auth/register', { name: 'Ada' })
  }

  login() {
    return this.signIn('/auth/login', {})
  }

  async logout() {
    await this.call('POST', '/auth/logout')
    this.token = undefined
  }

  async signIn(path, more) {
    const { email, deviceId } = this
    const body = JSON.stringify({ email, password: PASSWORD, device_id: deviceId, ...more })
    const answer = await this.call('POST', path, { headers: JSON_BODY, body })
    this.token = answer.access_token
  }

  async call(method, path, { headers = {}, body } = {}) {
    const authorization = this.token ? { Authorization: `Bearer ${this.token}` } : {}
    // A new connection for each call reaches all the workers, not one of them only.
    const own = { Connection: 'close', ...authorization }
    const number = (calls += 1)
    this.note({ number, method, path, body })
    const response = await fetch(API + path, { method, body, headers: { ...headers, ...own } })
    const text = await response.text()
    record({ number, status: response.status, text })
    if (!response.ok) throw new HttpError(response.status, text)
    return text && JSON.parse(text)
  }

  note(entry) {
    record({ email: this.email, device: this.deviceId, ...entry })
  }

  // --- sync

  /**
   * `beforePush` runs between the pull and the push, `duringPush` while the push is on its way;
   * with `loseAnswer` ('pull' or 'push') the server does its work and the client never hears of it;
   * with `sendTwice` the push arrives twice at once, as a network may do it. `onPush` is told of each
   * push, and what it answers is called when the push has been acknowledged. `replacement` asks for
   * the full set (docs/verify.md).
   * `traffic` keeps what was pulled and pushed.
   */
  async sync(options = {}) {
    const { beforePush = nothing, duringPush = nothing } = options
    const { loseAnswer, sendTwice, conflictResolver, replacement } = options
    const { pullChanges, pushChanges } = this.client
    this.traffic = { pulled: undefined, pushed: undefined }
    await synchronize({
      database: this.database,
      pullChanges: async (args) => {
        this.traffic.pulled = await pullChanges({ ...args, replacement })
        if (loseAnswer === 'pull') throw new TypeError('fetch failed')
        return this.traffic.pulled
      },
      pushChanges: async (args) => {
        await beforePush()
        this.traffic.pushed = args.changes
        const heard = this.onPush?.(args.changes) ?? nothing
        const twin = sendTwice ? pushChanges(args).catch(nothing) : undefined
        // Where one fails, the others are still on their way: they arrive in this sync, in no later one.
        const ended = await Promise.allSettled([pushChanges(args), duringPush(), twin])
        const failed = ended.find(({ status }) => status === 'rejected')
        if (failed) throw failed.reason
        const answer = ended[0].value
        if (loseAnswer === 'push') throw new TypeError('fetch failed')
        await heard()
        return answer
      },
      migrationsEnabledAtVersion: 1,
      conflictResolver,
    })
  }

  hasUnsyncedChanges() {
    return hasUnsyncedChanges({ database: this.database })
  }

  // --- what the user does

  async create(table, values) {
    const [id] = await this.createAll([[table, values]])
    this.note({ create: table, id, values })
    return id
  }

  /** [[table, values], …] in one go, as an import does; the ids. */
  createAll(entries) {
    return this.database.write(async () => {
      const records = entries.map(([table, values]) =>
        this.database.get(table).prepareCreate((record) => set(record, values)),
      )
      await this.database.batch(records)
      return records.map(({ id }) => id)
    })
  }

  edit(table, id, values) {
    this.note({ edit: table, id, values })
    return this.write(table, id, (record) => record.update(() => set(record, values)))
  }

  async editAndSync(table, id, values) {
    await this.edit(table, id, values)
    await this.sync()
  }

  remove(table, id) {
    this.note({ remove: table, id })
    return this.write(table, id, (record) => record.markAsDeleted())
  }

  removeWithChildren(table, id) {
    return this.write(table, id, (record) => record.experimentalMarkAsDeleted())
  }

  write(table, id, work) {
    return this.database.write(async () => {
      await work(await this.database.get(table).find(id))
    })
  }

  // --- what the user sees

  /** {table: {id: columns}} */
  async records() {
    const all = {}
    for (const table of Object.keys(this.database.schema.tables)) {
      const found = await this.database.get(table).query().fetch()
      all[table] = Object.fromEntries(found.map(({ _raw }) => [_raw.id, bare(_raw)]))
    }
    return all
  }

  async record(table, id) {
    const all = await this.records()
    return all[table][id]
  }
}

function set(record, { id, ...values }) {
  if (id) record._raw.id = id
  for (const [column, value] of Object.entries(values)) record._setRaw(column, value)
}

function bare({ _status, _changed, ...columns }) {
  return columns
}
