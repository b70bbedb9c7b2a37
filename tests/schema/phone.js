// A phone whose app is made of printed files: its schema, migrations and model classes.

import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)
const { Database } = require('@nozbe/watermelondb')
const { default: LokiJSAdapter } = require('@nozbe/watermelondb/adapters/lokijs')
const { synchronize } = require('@nozbe/watermelondb/sync')
const { default: logger } = require('@nozbe/watermelondb/utils/common/logger')

const API = `${process.env.MELON_URL}/api/v1`
const QUIET = { useWebWorker: false, useIncrementalIndexedDB: false }

Object.assign(logger, { log() {}, debug() {}, warn() {} })

/** The app that was compiled into this folder. */
export function load(folder) {
  const { schema } = require(`${folder}/schema.js`)
  const { migrations } = require(`${folder}/migrations.js`)
  const { modelClasses } = require(`${folder}/models/index.js`)
  return { schema, migrations, modelClasses }
}

async function post(path, body, token) {
  const headers = { 'Content-Type': 'application/json', Connection: 'close' }
  if (token) headers.Authorization = `Bearer ${token}`
  const response = await fetch(API + path, { method: 'POST', headers, body: JSON.stringify(body) })
  if (!response.ok) throw new Error(`${path}: ${await response.text()}`)
  return response.json()
}

export class Phone {
  /** `person` is `{email, password}`; the first phone of theirs registers. */
  constructor({ schema, migrations, modelClasses }, person) {
    this.person = person
    const options = { schema, migrations, ...QUIET, extraLokiOptions: { autosave: false } }
    this.open(new LokiJSAdapter(options), modelClasses)
  }

  open(adapter, modelClasses) {
    this.database = new Database({ adapter, modelClasses })
  }

  async signIn(how) {
    const answer = await post(`/auth/${how}`, this.person)
    this.token = answer.access_token
    return this
  }

  /** The app is updated: the same data, a newer schema. */
  async update({ schema, migrations, modelClasses }) {
    const { adapter } = this.database
    await adapter.getLocal('any') // it is set up by then
    const { underlyingAdapter: old } = adapter
    await new Promise((resolve) => old._driver.loki.saveDatabase(resolve))
    this.open(await old.testClone({ schema, migrations }), modelClasses)
  }

  async sync() {
    await synchronize({
      database: this.database,
      pullChanges: async (args) => {
        this.asked = args
        const { lastPulledAt, schemaVersion, migration } = args
        return post('/sync/pull', { lastPulledAt, schemaVersion, migration }, this.token)
      },
      pushChanges: ({ changes, lastPulledAt }) =>
        post('/sync/push', { changes, lastPulledAt }, this.token),
      migrationsEnabledAtVersion: 1,
    })
  }

  get(table) {
    return this.database.get(table)
  }

  /** All records of a table, as the app's classes. */
  all(table) {
    return this.get(table).query().fetch()
  }

  create(table, set) {
    return this.database.write(() => this.get(table).create(set))
  }
}
