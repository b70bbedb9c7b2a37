// A person with several phones, and what must be true of them in the end.

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { createRequire } from 'node:module'
import { HttpError, Phone } from './phone.js'

const require = createRequire(import.meta.url)
const { appSchema, tableSchema } = require('@nozbe/watermelondb')
const migrations = require('@nozbe/watermelondb/Schema/migrations')

export const TIMES = [
  { name: 'created_at', type: 'number' },
  { name: 'updated_at', type: 'number' },
]
const NAME = { name: 'name', type: 'string' }
const DESCRIPTION = { name: 'description', type: 'string', isOptional: true }
const TASKS = {
  name: 'tasks',
  columns: [
    { name: 'title', type: 'string' },
    DESCRIPTION,
    { name: 'is_completed', type: 'boolean' },
    { name: 'project_id', type: 'string', isIndexed: true },
    ...TIMES,
  ],
}
const PROJECTS = { name: 'projects', columns: [NAME, DESCRIPTION, ...TIMES] }

export const app = (version, tables, steps) => ({
  schema: appSchema({ version, tables: tables.map(tableSchema) }),
  migrations: migrations.schemaMigrations({
    migrations: steps.length ? [{ toVersion: version, steps }] : [],
  }),
})

export const TABLES = [PROJECTS, TASKS]
const APP = app(1, TABLES, [])
/** An app from before tasks and descriptions, and its update. */
export const OLD_APP = app(1, [{ name: 'projects', columns: [NAME, ...TIMES] }], [])
export const NEW_APP = app(
  2,
  [PROJECTS, TASKS],
  [
    migrations.createTable(TASKS),
    migrations.addColumns({ table: 'projects', columns: [DESCRIPTION] }),
  ],
)

export class Account {
  email = `${randomUUID()}@example.com`
  phones = []

  constructor({ app = APP } = {}) {
    this.app = app
  }

  /** Another phone of this person, signed in. */
  async phone({ app = this.app, ...options } = {}) {
    const phone = new Phone(this.email, app, options)
    await (this.phones.length ? phone.login() : phone.register())
    this.phones.push(phone)
    return phone
  }

  /** Two phones, both in the know of one project with one task. */
  async twoPhones() {
    const a = await this.phone()
    const project = await a.create('projects', { name: 'Home' })
    const task = await a.create('tasks', { title: 'Paint', project_id: project })
    await a.sync()
    const b = await this.phone()
    await b.sync()
    return { a, b, project, task }
  }

  /**
   * Everybody syncs twice: to push what there is, and to hear of the others. Then all phones, and
   * one that is new, hold the same; nothing waits to be pushed, and another sync moves nothing.
   * Answers what they hold.
   */
  async converge() {
    for (const phone of [...this.phones, ...this.phones]) await phone.sync()
    const fresh = await this.phone()
    await fresh.sync()
    const expected = await fresh.records()
    assertNoOrphans(expected)
    for (const [index, phone] of this.phones.entries()) {
      assert.deepEqual(await phone.records(), expected, `phone ${index} differs from a new one`)
      assert.equal(await phone.hasUnsyncedChanges(), false, `phone ${index} has unsynced changes`)
    }
    await Promise.all(this.phones.map(assertIdle))
    return expected
  }
}

function assertNoOrphans({ projects, tasks }) {
  const orphans = Object.values(tasks).filter((task) => !projects[task.project_id])
  assert.deepEqual(orphans, [], 'tasks without their project')
}

async function assertIdle(phone) {
  await phone.sync()
  for (const [table, lists] of Object.entries(phone.traffic.pulled.changes)) {
    assert.deepEqual(lists, { created: [], updated: [], deleted: [] }, `${table} come again`)
  }
  assert.equal(phone.traffic.pushed, undefined)
}

/** The sync fails with this status and code. */
export async function assertRefused(sync, status, code) {
  await assert.rejects(sync, (error) => {
    assert.ok(error instanceof HttpError, error)
    assert.deepEqual([error.status, error.problem.code], [status, code], error.message)
    return true
  })
}

/** The sync fails because the answer never came. */
export async function assertLost(sync) {
  await assert.rejects(sync, new TypeError('fetch failed'))
}

/** Sync as an app does: a conflict is answered by another sync. */
export async function syncPatiently(phone, options) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await phone.sync(options)
    } catch (error) {
      if (error.status !== 409 || attempt === 10) throw error
    }
  }
}
