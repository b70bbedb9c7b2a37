// What stays on the phone: drafts until they are done, tables and columns of its own for good (docs/on-the-phone.md).

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NetworkError, savedOf, UnsyncedError, ValidationError, watchSaved } from 'melon-sync'
import {
  assertConverged,
  assertFails,
  Database,
  expectComplaint,
  LokiJSAdapter,
  newPhone,
  phones,
  schema,
  watermelon,
} from './support.js'

const { appSchema, Model, tableSchema } = watermelon()
const settings = tableSchema({ name: 'settings', columns: [{ name: 'value', type: 'string' }] })
const draft = { name: 'is_draft', type: 'boolean' }
const { projects, tasks } = schema.tables
const ownSchema = appSchema({
  version: 1,
  tables: [projects, { ...tasks, columns: { ...tasks.columns, is_draft: draft }, columnArray: [...tasks.columnArray, draft] }, settings],
})

class Project extends Model {
  static table = 'projects'
  static associations = { tasks: { type: 'has_many', foreignKey: 'project_id' } }
}
class Task extends Model {
  static table = 'tasks'
  static associations = { projects: { type: 'belongs_to', key: 'project_id' } }
}
class Setting extends Model {
  static table = 'settings'
}

function ownDatabase() {
  const options = { useWebWorker: false, useIncrementalIndexedDB: false, extraLokiOptions: { autosave: false } }
  const adapter = new LokiJSAdapter({ schema: ownSchema, ...options })
  return new Database({ adapter, modelClasses: [Project, Task, Setting] })
}

const localOnly = ['settings', 'tasks.is_draft']
const isDraft = (table, record) => (table === 'tasks' && record.is_draft) || record.name?.startsWith('draft')

/** A phone with a table and a column of its own, and drafts; and another one without. */
async function twoPhones() {
  const [plain] = await phones(1)
  const phone = await newPhone({ database: ownDatabase(), localOnly, isDraft })
  phone.email = plain.email
  await phone.client.login(phone.credentials)
  return { phone, plain }
}

const sent = (phone) => JSON.parse(phone.network.last('/sync/push').body).changes

test('a draft stays on the phone until it is done', async () => {
  const { phone, plain } = await twoPhones()
  const id = await phone.create('tasks', { title: 'half', is_draft: true, project_id: '' })
  await phone.create('projects', { name: 'Home' })
  const { pushed, held } = await phone.sync()
  assert.deepEqual([pushed, held], [1, 1])
  assert.deepEqual(await phone.client.unsynced(phone.database), { tasks: 1 })
  await phone.sync()
  assert.equal((await plain.sync()).pulled, 1)
  const [project] = Object.keys((await phone.records()).projects)
  await phone.edit('tasks', id, { title: 'whole', is_draft: false, project_id: project })
  assert.deepEqual([(await phone.sync()).held, await phone.client.hasUnsyncedChanges(phone.database)], [0, false])
  await plain.sync()
  assert.equal((await plain.records()).tasks[id].title, 'whole')
})

test('only drafts: nothing is sent', async () => {
  const { phone } = await twoPhones()
  await phone.create('projects', { name: 'draft' })
  const before = phone.network.count('/sync/push')
  assert.deepEqual([(await phone.sync()).held, phone.network.count('/sync/push')], [1, before])
})

test('what belongs to a new draft waits with it, and to one that the server has does not', async () => {
  const { phone, plain } = await twoPhones()
  const project = await phone.create('projects', { name: 'draft of a plan' })
  await phone.create('tasks', { title: 'in it', project_id: project })
  assert.equal((await phone.sync()).held, 2)
  await phone.edit('projects', project, { name: 'Plan' })
  assert.deepEqual([(await phone.sync()).held, (await plain.sync()).pulled], [0, 2])
  await phone.edit('projects', project, { name: 'draft, again' })
  await phone.create('tasks', { title: 'more', project_id: project })
  assert.deepEqual([(await phone.sync()).held, (await plain.sync()).pulled], [1, 1])
  assert.equal((await plain.records()).projects[project].name, 'Plan')
})

test('tables and columns of the phone’s own are not sent, and no pull takes them', async () => {
  const { phone, plain } = await twoPhones()
  await phone.create('settings', { value: 'dark' })
  const project = await phone.create('projects', { name: 'Home' })
  const id = await phone.create('tasks', { title: 'Paint', project_id: project })
  await phone.sync()
  assert.deepEqual(Object.keys(sent(phone)).sort(), ['projects', 'tasks'])
  assert.ok(!('is_draft' in sent(phone).tasks.created[0]))
  await plain.sync()
  await plain.edit('tasks', id, { title: 'Paint it' })
  await plain.sync()
  const ownColumn = (value) =>
    phone.database.write(async () => (await phone.database.get('tasks').find(id)).update((task) => task._setRaw('is_draft', value)))
  await ownColumn(true)
  await phone.sync() // a draft takes what others write
  const { title, is_draft: isDraft } = (await phone.database.get('tasks').find(id))._raw
  assert.deepEqual([title, isDraft], ['Paint it', true])
  await ownColumn(false)
  const before = phone.network.count('/sync/push')
  await phone.sync()
  assert.equal(phone.network.count('/sync/push'), before, 'an edit of its own column alone is nobody’s news')
  assert.deepEqual(await phone.client.unsynced(phone.database), {})
  assert.equal((await phone.client.verify(phone.database)).identical, true)
  assert.equal((await phone.client.resend(phone.database)).resent, 0)
  assert.equal(await phone.database.get('settings').query().fetchCount(), 1)
})

test('a large upload goes in pieces, parents first; cut off, it goes on with the rest', async () => {
  const { phone, plain } = await twoPhones()
  const [project] = await phone.createMany('projects', [{ name: 'Home' }])
  await phone.createMany('tasks', Array.from({ length: 25 }, (_, n) => ({ title: `${n}`, project_id: project })))
  const told = []
  const options = { pushSize: 10, onProgress: (one) => one.phase === 'push' && told.push([one.sent, one.records]) }
  phone.network.on('/sync/push', undefined, ...Array(9).fill('cut'))
  await assertFails(phone.sync(options), NetworkError)
  assert.deepEqual(told, [[0, 26], [10, 26]])
  assert.deepEqual(await phone.client.unsynced(phone.database), { tasks: 16 })
  phone.network.calm()
  told.length = 0
  await phone.sync(options)
  assert.deepEqual(told, [[0, 16], [10, 16], [16, 16]])
  assert.deepEqual(await phone.client.unsynced(phone.database), {})
  assert.equal((await plain.sync()).pulled, 26)
})

test('a piece whose answer was lost is stored once', async () => {
  const { phone, plain } = await twoPhones()
  await phone.createMany('projects', [1, 2, 3].map((n) => ({ name: `${n}` })))
  phone.network.on('/sync/push', 'lose')
  await phone.sync({ pushSize: 2 })
  assert.equal((await plain.sync()).pulled, 3)
})

test('signing out says what would be lost, and does nothing then', async () => {
  const { phone } = await twoPhones()
  await phone.create('projects', { name: 'draft' })
  await phone.create('settings', { value: 'dark' })
  const { counts } = await assertFails(phone.client.signOut(phone.database, { wipe: true }), UnsyncedError)
  assert.deepEqual(counts, { projects: 1 })
  assert.notEqual(await phone.client.user(), null)
  await phone.client.signOut(phone.database, { wipe: false })
  assert.deepEqual([await phone.client.user(), Object.keys((await phone.records()).projects).length], [null, 1])
  await phone.client.login(phone.credentials)
  const { serverTold } = await phone.client.signOut(phone.database, { wipe: true, force: true })
  assert.deepEqual([serverTold, await phone.client.user(), (await phone.records()).projects], [true, null, {}])
  assert.equal(await phone.database.get('settings').query().fetchCount(), 0)
})

test('the next person finds an empty database', async () => {
  const { phone } = await twoPhones()
  await phone.create('projects', { name: 'Home' })
  await phone.sync()
  await phone.client.signOut(phone.database, { wipe: true })
  const [other] = await phones(1)
  phone.email = other.email
  await phone.client.login(phone.credentials)
  await phone.create('projects', { name: 'Theirs' })
  await phone.sync()
  const { projects } = await assertConverged(other)
  assert.deepEqual(Object.values(projects).map(({ name }) => name), ['Theirs'])
})

test('a record says whether it is saved everywhere, and tells when it is', async () => {
  const { phone } = await twoPhones()
  const id = await phone.create('projects', { name: 'Home' })
  const record = await phone.database.get('projects').find(id)
  const seen = [savedOf(record)]
  const stop = watchSaved(record, () => seen.push(savedOf(record)))
  await phone.sync()
  await phone.edit('projects', id, { name: 'House' })
  stop()
  await phone.sync()
  assert.deepEqual(seen, ['on_this_phone', 'everywhere', 'on_this_phone'])
  assert.equal(savedOf(record), 'everywhere')
})

// --- An app older or newer than the server

const olderSchema = appSchema({ version: 1, tables: [{ ...projects, ...without(projects, 'description') }] })

function without({ columns, columnArray }, name) {
  const { [name]: _, ...rest } = columns
  return { columns: rest, columnArray: columnArray.filter((column) => column.name !== name) }
}

test('an older app skips the tables that it does not know, and keeps the columns', async () => {
  const adapter = new LokiJSAdapter({
    schema: olderSchema,
    useWebWorker: false,
    useIncrementalIndexedDB: false,
    extraLokiOptions: { autosave: false },
  })
  const [plain] = await phones(1)
  const older = await newPhone({ database: new Database({ adapter, modelClasses: [Project] }) })
  older.email = plain.email
  await older.client.login(older.credentials)
  const id = await plain.create('projects', { name: 'Home', description: 'known to newer apps' })
  await plain.create('tasks', { title: 'Paint', project_id: id })
  await plain.sync()
  expectComplaint('You are trying to sync a collection named tasks')
  await older.sync()
  await older.edit('projects', id, { name: 'House' })
  await older.sync()
  await plain.sync()
  const { name, description } = (await plain.records()).projects[id]
  assert.deepEqual([name, description], ['House', 'known to newer apps'])
})

test('a newer app’s table waits, with partial alone; its column is dropped', async () => {
  const [plain] = await phones(1)
  const newer = await newPhone({ database: ownDatabase() })
  newer.email = plain.email
  await newer.client.login(newer.credentials)
  await newer.create('settings', { value: 'dark' })
  const project = await newer.create('projects', { name: 'Home' })
  const id = await newer.create('tasks', { title: 'Paint', project_id: project, is_draft: true })
  await assertFails(newer.sync(), ValidationError, 'unknown_table')
  const { rejected } = await newer.sync({ partial: true })
  assert.deepEqual(rejected.map(({ table, code }) => [table, code]), [['settings', 'unknown_table']])
  assert.deepEqual(await newer.client.unsynced(newer.database), { settings: 1 })
  assert.equal((await newer.database.get('tasks').find(id))._raw.is_draft, true)
})
