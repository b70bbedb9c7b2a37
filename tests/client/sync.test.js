// What phones of one person get of each other's work, on a network that behaves.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Account, assertRefused, NEW_APP, OLD_APP } from './account.js'

test('creations, edits and deletions travel both ways', async () => {
  const account = new Account()
  const { a, b, project, task } = await account.twoPhones()

  const second = await b.create('tasks', { title: 'Mow', project_id: project })
  await b.edit('tasks', task, { title: 'Paint twice', is_completed: true })
  await b.sync()
  await a.sync()
  assert.equal((await a.record('tasks', task)).title, 'Paint twice')
  assert.equal((await a.record('tasks', second)).title, 'Mow')

  await a.remove('tasks', task)
  await a.edit('projects', project, { name: 'House' })
  await a.sync()
  await b.sync()
  assert.equal(await b.record('tasks', task), undefined)
  assert.equal((await b.record('projects', project)).name, 'House')

  const { tasks } = await account.converge()
  assert.deepEqual(Object.keys(tasks), [second])
})

test('a record created, synced and deleted stays deleted everywhere', async () => {
  const account = new Account()
  const a = await account.phone()
  const b = await account.phone()
  const project = await a.create('projects', { name: 'Short-lived' })
  await a.sync()
  await b.sync()
  await a.remove('projects', project)
  await a.sync()
  await a.sync()
  await b.sync()
  assert.equal(await b.record('projects', project), undefined)
  assert.deepEqual((await account.converge()).projects, {})
})

test('a record created and deleted between two pulls of its phone stays deleted (pull 3)', async () => {
  const account = new Account()
  const a = await account.phone()
  await a.sync()
  const project = await a.create('projects', { name: 'Short-lived' })
  await a.sync() // its own creation is now newer than its last pull
  await a.remove('projects', project)
  await a.sync()
  assert.deepEqual((await account.converge()).projects, {})
})

test('a record deleted before it was ever pushed troubles nobody', async () => {
  const account = new Account()
  const { a } = await account.twoPhones()
  const project = await a.create('projects', { name: 'Regretted' })
  await a.remove('projects', project)
  await a.sync()
  assert.equal((await account.converge()).projects[project], undefined)
})

test('the children of a deleted parent go with it, without the app deleting them (push 4)', async () => {
  const account = new Account()
  const { a, b, project } = await account.twoPhones()
  await a.create('tasks', { title: 'Never pushed before', project_id: project })
  await a.remove('projects', project)
  await a.sync()
  await b.sync()
  assert.deepEqual(await b.records(), { projects: {}, tasks: {} })
  assert.deepEqual(await account.converge(), { projects: {}, tasks: {} })
})

test('a parent created and deleted offline takes its never pushed child along (push 4)', async () => {
  const account = new Account()
  const a = await account.phone()
  const project = await a.create('projects', { name: 'Regretted' })
  await a.create('tasks', { title: 'Orphan?', project_id: project })
  await a.remove('projects', project)
  await a.sync()
  assert.deepEqual(await account.converge(), { projects: {}, tasks: {} })
})

test('an app that deletes the children itself gets along too', async () => {
  const account = new Account()
  const { a, project } = await account.twoPhones()
  await a.removeWithChildren('projects', project)
  await a.sync()
  assert.deepEqual(await account.converge(), { projects: {}, tasks: {} })
})

test('a task moved to another project outlives its old one', async () => {
  const account = new Account()
  const { a, b, project, task } = await account.twoPhones()
  const other = await a.create('projects', { name: 'Office' })
  await a.edit('tasks', task, { project_id: other })
  await a.sync()
  await b.sync()
  await b.remove('projects', project)
  await b.sync()
  const { projects, tasks } = await account.converge()
  assert.deepEqual(Object.keys(projects), [other])
  assert.equal(tasks[task].project_id, other)
})

test('a phone that joins late gets everything', async () => {
  const account = new Account()
  const { a, b, project } = await account.twoPhones()
  await b.create('tasks', { title: 'Mow', project_id: project })
  const gone = await b.create('tasks', { title: 'Gone', project_id: project })
  await b.sync()
  await b.remove('tasks', gone)
  await b.sync()
  await a.sync()
  const late = await account.phone()
  await late.sync()
  assert.deepEqual(await late.records(), await a.records())
  assert.deepEqual(late.traffic.pulled.changes.tasks.deleted, [])
  await account.converge()
})

test('a phone that was used before its first sync keeps its work and gets the rest', async () => {
  const account = new Account()
  const { project } = await account.twoPhones()
  const c = await account.phone()
  const own = await c.create('projects', { name: 'Made offline' })
  await c.create('tasks', { title: 'Offline', project_id: own })
  await c.sync()
  const { projects, tasks } = await account.converge()
  assert.deepEqual(new Set(Object.keys(projects)), new Set([project, own]))
  assert.equal(Object.keys(tasks).length, 2)
})

test('two accounts with the same ids never see or touch each other (push 11)', async () => {
  const ada = new Account()
  const bob = new Account()
  const a = await ada.phone()
  const b = await bob.phone()
  await a.create('projects', { id: 'inbox', name: "Ada's" })
  await b.create('projects', { id: 'inbox', name: "Bob's" })
  await a.sync()
  await b.sync()
  await b.remove('projects', 'inbox')
  await b.sync()
  assert.equal((await ada.converge()).projects.inbox.name, "Ada's")
  assert.deepEqual((await bob.converge()).projects, {})
})

test('a phone signed out and in with its device_id keeps its database', async () => {
  const account = new Account()
  const a = await account.phone({ deviceId: 'adas-phone' })
  const project = await a.create('projects', { name: 'Home' })
  await a.sync() // the next pull tells it of its own creation: as `updated`, or it complains
  await a.logout()
  await a.create('tasks', { title: 'Made while signed out', project_id: project })
  await assertRefused(a.sync(), 401, 'token_missing')
  await a.login()
  await a.sync()
  await a.restart()
  await a.logout()
  await a.login()
  await a.sync()
  const { tasks } = await account.converge()
  assert.equal(Object.keys(tasks).length, 1)
})

test("the snippet of WatermelonDB's docs works from end to end", async () => {
  const account = new Account()
  const a = await account.phone({ snippet: 'docs' })
  const b = await account.phone({ snippet: 'docs' })
  const project = await a.create('projects', { name: 'Küche 🍉' })
  const task = await a.create('tasks', { title: 'Paint', project_id: project })
  await a.sync()
  await b.sync()
  await b.edit('tasks', task, { title: 'Tile' })
  await a.edit('tasks', task, { is_completed: true })
  await b.sync()
  await a.sync()
  await b.remove('projects', await b.create('projects', { name: 'Regretted' }))
  const { projects, tasks } = await account.converge()
  assert.equal(projects[project].name, 'Küche 🍉')
  assert.deepEqual([tasks[task].title, tasks[task].is_completed], ['Tile', true])
  await a.remove('projects', project)
  assert.deepEqual(await account.converge(), { projects: {}, tasks: {} })
})

const TEXTS = {
  empty: '',
  spaces: '  leading and trailing  ',
  umlauts: 'Äpfel, Straße, Ærø, Ñandú',
  composed: 'é is not e\u0301',
  emoji: '🍉👩‍👩‍👧‍👦🏳️‍🌈',
  'right to left': 'שלום \u200fمرحبا',
  control: 'NUL \u0000 tab \t CRLF \r\n bell \u0007 line \u2028',
  quotes: `'; DROP TABLE projects; -- "\\" %s :name \${x}`,
  'longest name': '😀'.repeat(255),
}

test('texts come back as they were written', async () => {
  const account = new Account()
  const { a } = await account.twoPhones()
  const expected = {}
  for (const [kind, text] of Object.entries(TEXTS)) {
    expected[await a.create('projects', { name: text, description: kind })] = text
  }
  await a.sync()
  const { projects } = await account.converge()
  for (const [id, text] of Object.entries(expected)) assert.equal(projects[id].name, text)
})

test('an absent, an empty and a very long description come back as such', async () => {
  const account = new Account()
  const { a, b, task } = await account.twoPhones()
  const description = 'ü🍉'.repeat(65_535 / 6)
  const long = await a.create('projects', { name: 'Long', description })
  const empty = await a.create('projects', { name: 'Empty', description: '' })
  const absent = await a.create('projects', { name: 'Absent', description: null })
  await a.edit('tasks', task, { description: '' })
  await a.sync()
  await b.sync()
  await b.edit('projects', empty, { description: null })
  await b.edit('projects', absent, { description: '' })
  await b.sync()
  const { projects, tasks } = await account.converge()
  assert.equal(projects[long].description, description)
  assert.equal(projects[empty].description, null)
  assert.equal(projects[absent].description, '')
  assert.equal(tasks[task].description, '')
})

test('booleans come back as booleans, both ways', async () => {
  const account = new Account()
  const { a, b, task, project } = await account.twoPhones()
  const done = await a.create('tasks', { title: 'x', project_id: project, is_completed: true })
  await a.edit('tasks', task, { is_completed: true })
  await a.sync()
  await b.sync()
  await b.edit('tasks', task, { is_completed: false })
  await b.sync()
  const { tasks } = await account.converge()
  assert.equal(tasks[done].is_completed, true)
  assert.equal(tasks[task].is_completed, false)
})

const NUMBERS = [
  0,
  1_700_000_000_123,
  1_700_000_000_123.4567, // from performance.now()
  -1.5,
  -62_135_596_800_000, // the year 1
  8.64e15, // the last Date
  0.1 + 0.2,
  Number.MAX_SAFE_INTEGER,
  1e21,
  Number.MAX_VALUE,
  Number.MIN_VALUE,
]
// JSON.stringify writes a double's shortest digits, here not all those of the whole number it is.
const ROUNDED = [2 ** 63, 1234567890123456789, -9007199254740993]

for (const [kind, numbers] of Object.entries({ any: NUMBERS, 'above 2 ** 53': ROUNDED })) {
  test(`dates come back exactly as the app wrote them: ${kind} (pull 4)`, async () => {
    const account = new Account()
    const a = await account.phone()
    const ids = await a.createAll(numbers.map((n) => ['projects', { name: `${n}`, created_at: n }]))
    for (const [index, id] of ids.entries()) {
      await a.edit('projects', id, { updated_at: numbers[index] })
    }
    await a.sync()
    const { projects } = await account.converge()
    const stored = ids.map((id) => [projects[id].created_at, projects[id].updated_at])
    assert.deepEqual(
      stored,
      numbers.map((n) => [n, n]),
    )
  })
}

test('ids that differ in case alone are two records', async () => {
  const account = new Account()
  const a = await account.phone()
  await a.create('projects', { id: 'abc', name: 'small' })
  await a.create('projects', { id: 'ABC', name: 'capital' })
  await a.create('tasks', { id: 'T_1.a-', title: 'small', project_id: 'abc' })
  await a.sync()
  await a.remove('projects', 'ABC')
  await a.sync()
  const { projects, tasks } = await account.converge()
  assert.deepEqual(Object.keys(projects), ['abc'])
  assert.deepEqual(Object.keys(tasks), ['T_1.a-'])
})

test("half an emoji is put right on every phone, its author's too (push 5)", async () => {
  const account = new Account()
  const { a } = await account.twoPhones()
  const project = await a.create('projects', { name: 'cut: \ud83c' })
  await a.sync()
  assert.equal((await account.converge()).projects[project].name, 'cut: \ufffd')
})

test('a thousand records reach a new phone in its first sync', async () => {
  const account = new Account()
  const a = await account.phone()
  const projects = await a.createAll(
    Array.from({ length: 10 }, (_, i) => ['projects', { name: `P${i}` }]),
  )
  await a.createAll(
    Array.from({ length: 990 }, (_, i) => [
      'tasks',
      { title: `T${i}`, project_id: projects[i % 10], is_completed: i % 3 === 0 },
    ]),
  )
  await a.sync()
  const b = await account.phone()
  await b.sync()
  assert.deepEqual(await b.records(), await a.records())
  await b.remove('projects', projects[0])
  await b.sync()
  const { tasks } = await account.converge()
  assert.equal(Object.keys(tasks).length, 990 - 99)
})

test('an app update gets the added table and column, also of old records (pull 5)', async () => {
  const account = new Account()
  const a = await account.phone()
  const project = await a.create('projects', { name: 'Home', description: 'of Ada' })
  const plain = await a.create('projects', { name: 'Plain' })
  const untouched = await a.create('projects', { name: 'Old', description: 'written long ago' })
  const task = await a.create('tasks', { title: 'Paint', project_id: project })
  await a.sync()

  const old = await account.phone({ app: OLD_APP })
  await old.sync()
  await old.edit('projects', project, { name: 'House' }) // knows no description: it must survive
  await old.sync()
  await old.restart(NEW_APP)
  await old.edit('projects', plain, { name: 'Plainer' }) // unsynced while it is updated
  await old.sync()
  assert.equal((await old.record('projects', project)).description, 'of Ada')
  assert.equal((await old.record('projects', untouched)).description, 'written long ago')
  assert.equal((await old.record('tasks', task)).title, 'Paint')

  const { projects } = await account.converge()
  assert.deepEqual([projects[project].name, projects[plain].name], ['House', 'Plainer'])
})

test('nothing of a push is stored when one record cannot be (push 1)', async () => {
  const account = new Account()
  const { a, b } = await account.twoPhones()
  await a.create('projects', { name: 'Good' })
  const bad = await a.create('projects', { name: 'x'.repeat(256) })
  await assertRefused(a.sync(), 422, 'validation_failed')
  await b.sync()
  assert.equal(Object.keys((await b.records()).projects).length, 1)
  assert.equal(await a.hasUnsyncedChanges(), true)
  await a.edit('projects', bad, { name: 'Short' })
  assert.equal(Object.keys((await account.converge()).projects).length, 3)
})

test('with allowPartial the refused records alone stay unsynced (push 6)', async () => {
  const account = new Account()
  const { b, project } = await account.twoPhones()
  const c = await account.phone({ allowPartial: true })
  await c.sync()
  const good = await c.create('tasks', { title: 'Good', project_id: project })
  const bad = await c.create('projects', { name: 'x'.repeat(256) })
  const child = await c.create('tasks', { title: 'Child of bad', project_id: bad })
  await c.sync()
  assert.equal(await c.hasUnsyncedChanges(), true)
  await b.sync()
  assert.equal((await b.record('tasks', good)).title, 'Good')
  assert.equal(await b.record('tasks', child), undefined)

  await c.edit('projects', bad, { name: 'Short' })
  await c.sync()
  const { projects, tasks } = await account.converge()
  assert.equal(projects[bad].name, 'Short')
  assert.equal(tasks[child].project_id, bad)
})
