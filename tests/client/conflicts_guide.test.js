// docs/conflicts.md: every row of its table and every snippet, with two phones. Runs under either
// policy; what only one of them does says so.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Account, assertLost, assertRefused, syncPatiently } from './account.js'
import { pageText, snippet } from './guide.js'
import { takeLines } from './phone.js'

const require = createRequire(import.meta.url)
const { synchronize } = require('@nozbe/watermelondb/sync')

const PAGE = 'docs/conflicts.md'
const isRejecting = process.env.SYNC_CONFLICT_POLICY === 'reject'
const nowhere = () => {}
const testDefault = isRejecting ? nowhere : test
const testReject = isRejecting ? test : nowhere

/** A row of the table: what A and B do, A syncs first, then B, then A; what both show then. */
function row(words, [ofA, ofB], shown, complaint) {
  test(words, async () => {
    assert.ok(pageText(PAGE).includes(words), 'it is not a row of the page')
    const account = new Account()
    const { a, b, project, task } = await account.twoPhones()
    await ofA(a, { project, task })
    await ofB(b, { project, task })
    await syncPatiently(a)
    await syncPatiently(b)
    await syncPatiently(a)
    if (complaint) assertComplained(complaint)
    shown(await account.converge(), { project, task })
  })
}

function assertComplained(part) {
  const lines = takeLines()
  assert.ok(lines.some((line) => line.includes(part)), lines.join('\n'))
}

const editing = (values) => (phone, { task }) => phone.edit('tasks', task, values)
const creating = (name) => (phone) => phone.create('projects', { id: 'settings', name })
const removing = (phone, { task }) => phone.remove('tasks', task)

row(
  '| renames the task | writes its description | both edits |',
  [editing({ title: 'Paint twice' }), editing({ description: 'the fence' })],
  ({ tasks }, { task }) => {
    assert.deepEqual([tasks[task].title, tasks[task].description], ['Paint twice', 'the fence'])
  },
)
row(
  '| names it "A" | names it "B" | "B": who syncs last wins, not who typed last |',
  [editing({ title: 'A' }), editing({ title: 'B' })],
  ({ tasks }, { task }) => assert.equal(tasks[task].title, 'B'),
)
row(
  '| ticks it off | ticks it off | ticked off; no conflict |',
  [editing({ is_completed: true }), editing({ is_completed: true })],
  ({ tasks }, { task }) => assert.equal(tasks[task].is_completed, true),
)
row('| deletes it | edits it | nothing', [removing, editing({ title: 'B' })], ({ tasks }) =>
  assert.deepEqual(tasks, {}),
)
row('nothing, whoever syncs first |', [editing({ title: 'A' }), removing], ({ tasks }) =>
  assert.deepEqual(tasks, {}),
)
row(
  '| deletes the project | adds a task to it | neither',
  [
    (phone, { project }) => phone.remove('projects', project),
    (phone, { project }) => phone.create('tasks', { title: 'New', project_id: project }),
  ],
  (all) => assert.deepEqual(all, { projects: {}, tasks: {} }),
)
row(
  "| creates a record `settings` | creates another one under the same id | A's; B's console",
  [creating('dark'), creating('light')],
  ({ projects }) => assert.equal(projects.settings.name, 'dark'),
  'already exists locally',
)

test('the same id from two phones: 409 where the pull did not tell of it', async () => {
  const account = new Account()
  const { a, b } = await account.twoPhones()
  await creating('dark')(a)
  await creating('light')(b)
  await assertRefused(b.sync({ beforePush: () => a.sync() }), 409, 'sync_conflict')
  await b.sync()
  assertComplained('already exists locally')
  assert.equal((await account.converge()).projects.settings.name, 'dark')
})

test('no conflict is told to A; the log of B has it', async () => {
  const account = new Account()
  const { a, b, task } = await account.twoPhones()
  await a.editAndSync('tasks', task, { title: 'A' })
  await b.edit('tasks', task, { title: 'B' })
  const [ofA, ofB] = [{}, {}]
  await synchronize({ database: b.database, ...b.client, log: ofB })
  await synchronize({ database: a.database, ...a.client, log: ofA })
  const [{ local, remote, resolved }] = ofB.resolvedConflicts
  assert.deepEqual([local.title, remote.title, resolved.title], ['B', 'A', 'B'])
  assert.equal(ofA.resolvedConflicts, undefined)
  assert.equal((await a.record('tasks', task)).title, 'B')
})

test('the log has what a phone pushed itself, too, when it has edited it again', async () => {
  const account = new Account()
  const a = await account.phone()
  const id = await a.create('projects', { name: 'Home' })
  await a.sync()
  await a.editAndSync('projects', id, { name: 'Hut' })
  await a.edit('projects', id, { name: 'House' })
  const log = {}
  await synchronize({ database: a.database, ...a.client, log })
  const [{ local, remote, resolved }] = log.resolvedConflicts
  assert.deepEqual([local.name, remote.name, resolved.name], ['House', 'Hut', 'House'])
})

// --- Deletions -----------------------------------------------------------------------------------

test('a deleted id stays deleted', async () => {
  const account = new Account()
  const { a, b, task, project } = await account.twoPhones()
  await a.remove('tasks', task)
  await a.sync()
  await b.sync()
  await b.create('tasks', { id: task, title: 'Again', project_id: project })
  await b.sync()
  await b.sync()
  assert.equal(await b.record('tasks', task), undefined)
  assert.deepEqual((await account.converge()).tasks, {})
})

test('a column instead of a deletion keeps the edit', async () => {
  const account = new Account()
  const { a, b, task } = await account.twoPhones()
  await a.editAndSync('tasks', task, { is_completed: true })
  await b.editAndSync('tasks', task, { title: 'Edited' })
  const found = (await account.converge()).tasks[task]
  assert.deepEqual([found.title, found.is_completed], ['Edited', true])
})

// --- Numbers and lists ---------------------------------------------------------------------------

test('a number that each phone raises by one is raised once', async () => {
  const account = new Account()
  const { a, b, task } = await account.twoPhones()
  for (const phone of [a, b]) {
    const { description } = await phone.record('tasks', task)
    await phone.edit('tasks', task, { description: `${Number(description) + 1}` })
  }
  await a.sync()
  await b.sync()
  assert.equal((await account.converge()).tasks[task].description, '1')
})

/** The model's fields, as `@text('title')` and the like make them. */
function withFields({ database }) {
  const { prototype } = database.get('tasks').modelClass
  for (const [name, column] of Object.entries({ title: 'title', projectId: 'project_id' })) {
    Object.defineProperty(prototype, name, {
      configurable: true,
      set(value) {
        this._setRaw(column, value)
      },
    })
  }
}

test('a row for each glass: none is lost, and one can be taken back', async () => {
  const { drink, glasses } = await snippet(PAGE, 'rows')
  const account = new Account()
  const a = await account.phone()
  withFields(a)
  const habit = { id: await a.create('projects', { name: 'Water' }) }
  await a.sync()
  const b = await account.phone()
  await b.sync()
  for (const { database } of [a, b, b]) await drink(database, habit)
  for (const phone of [a, b, a]) await phone.sync()
  assert.equal(await glasses(a.database, habit), 3)
  const [glass] = Object.keys((await a.records()).tasks)
  await a.remove('tasks', glass)
  await account.converge()
  assert.equal(await glasses(b.database, habit), 2)
})

test('on or off: one id of both phones, switched by a column', async () => {
  const account = new Account()
  const { a, b, project } = await account.twoPhones()
  const id = `${project}.ada`
  const like = { id, title: 'Ada', project_id: project, is_completed: true }
  for (const phone of [a, b]) await phone.create('tasks', { ...like, created_at: 1, updated_at: 1 })
  await b.sync({ beforePush: () => a.sync() })
  await b.edit('tasks', id, { is_completed: false })
  await b.sync()
  await a.sync()
  await a.edit('tasks', id, { is_completed: true })
  const { tasks } = await account.converge()
  assert.deepEqual([Object.keys(tasks).length, tasks[id].is_completed], [2, true])
})

// --- Columns that belong together ----------------------------------------------------------------

test('two columns may be of two phones, one column is of one', async () => {
  const { period, startAndEnd } = await snippet(PAGE, 'whole')
  const account = new Account()
  const { a, b, task, project } = await account.twoPhones()
  const whole = await a.create('tasks', { title: period(1, 3), project_id: project })
  await a.sync()
  await b.sync()
  await a.edit('tasks', task, { title: 'start 5' })
  await b.edit('tasks', task, { description: 'end 4' })
  await a.edit('tasks', whole, { title: period(5, 6) })
  await b.edit('tasks', whole, { title: period(1, 4) })
  await a.sync()
  await b.sync()
  const { tasks } = await account.converge()
  assert.deepEqual([tasks[task].title, tasks[task].description], ['start 5', 'end 4'])
  assert.deepEqual(startAndEnd(tasks[whole].title), { start: 1, end: 4 })
})

// --- Text, and conflictResolver ------------------------------------------------------------------

/** Two phones that have written this into the same column, and not synced since. */
async function twoEdits(ofA, ofB) {
  const account = new Account()
  const { a, b, task } = await account.twoPhones()
  await a.edit('tasks', task, { description: ofA })
  await b.edit('tasks', task, { description: ofB })
  return { account, a, b, task }
}

const twoDates = () => twoEdits('2026-03-05', '2026-03-02')

/** A resolver of the page; `calls` are the texts that it was asked about, local and remote. */
async function greater() {
  const { greaterOf } = await snippet(PAGE, 'greater')
  const resolve = greaterOf('tasks', 'description')
  const calls = []
  const conflictResolver = (...args) => {
    calls.push([args[1].description, args[2].description])
    return resolve(...args)
  }
  return { conflictResolver, calls }
}

test('one of two texts is gone; of two rows both are there', async () => {
  const { account, a, b, task } = await twoEdits('From A', 'From B')
  for (const phone of [a, b]) await phone.sync()
  const { tasks } = await account.converge()
  assert.equal(tasks[task].description, 'From B')
  const remark = { project_id: tasks[task].project_id }
  await a.create('tasks', { title: 'From A', ...remark })
  await b.create('tasks', { title: 'From B', ...remark })
  for (const phone of [a, b]) await phone.sync()
  const titles = Object.values((await account.converge()).tasks).map(({ title }) => title)
  assert.deepEqual(titles.sort(), ['From A', 'From B', 'Paint'])
})

test('what a resolver is asked about may be an old text that nobody else has touched', async () => {
  const { conflictResolver, calls } = await greater()
  const account = new Account()
  const { a, b, task } = await account.twoPhones()
  await a.editAndSync('tasks', task, { description: '2026-03-01' })
  await a.edit('tasks', task, { description: '2026-03-02' })
  await a.sync({ conflictResolver })
  assert.deepEqual(calls.splice(0), [['2026-03-02', '2026-03-01']]) // its own push
  await b.sync()
  await b.editAndSync('tasks', task, { is_completed: true })
  await a.edit('tasks', task, { description: '2026-03-03' })
  await a.sync({ conflictResolver })
  assert.deepEqual(calls, [['2026-03-03', '2026-03-02']]) // the other phone ticked it off
  const found = (await account.converge()).tasks[task]
  assert.deepEqual([found.description, found.is_completed], ['2026-03-03', true])
})

test('the greater one stays, whoever syncs last', async () => {
  const { conflictResolver } = await greater()
  for (const order of ['ab', 'ba']) {
    const { account, task, ...phones } = await twoDates()
    for (const name of order) await phones[name].sync({ conflictResolver })
    assert.equal((await account.converge()).tasks[task].description, '2026-03-05')
  }
})

test('a resolver that is called again after a failed push says the same', async () => {
  const { conflictResolver, calls } = await greater()
  const { account, a, b, task } = await twoDates()
  await a.sync()
  const offline = () => Promise.reject(new TypeError('fetch failed'))
  await assertLost(b.sync({ conflictResolver, beforePush: offline }))
  await a.editAndSync('tasks', task, { is_completed: true })
  await assertLost(b.sync({ conflictResolver, loseAnswer: 'push' }))
  await a.editAndSync('tasks', task, { title: 'Renamed' })
  await syncPatiently(b, { conflictResolver })
  await b.sync({ conflictResolver })
  assert.ok(calls.length > 2)
  assert.equal((await account.converge()).tasks[task].description, '2026-03-05')
})

test('a resolver is called for each record that differs, and not for deletions', async () => {
  const account = new Account()
  const { a, b, task, project } = await account.twoPhones()
  const calls = []
  const conflictResolver = (table, local, remote, resolved) => {
    calls.push([local._status, local._changed, remote.title])
    return resolved
  }
  await a.editAndSync('tasks', task, { title: 'A' })
  await b.sync({ conflictResolver })
  assert.deepEqual(calls.splice(0), [['synced', '', 'A']])
  const other = await a.create('tasks', { title: 'Other', project_id: project })
  await a.sync()
  await b.sync({ conflictResolver })
  assert.deepEqual(calls.splice(0), [])
  await a.edit('tasks', other, { title: 'Edited' })
  await a.remove('tasks', task)
  await b.remove('tasks', other)
  await b.edit('tasks', task, { title: 'B' })
  await a.sync()
  await syncPatiently(b, { conflictResolver })
  assert.deepEqual(calls, [])
  assert.deepEqual((await account.converge()).tasks, {})
})

test('what a resolver changes in a record without an edit stays on that phone', async () => {
  const account = new Account()
  const { a, b, task } = await account.twoPhones()
  await a.editAndSync('tasks', task, { title: 'A' })
  const conflictResolver = (table, local, remote, resolved) => ({ ...resolved, title: 'Mine' })
  await b.sync({ conflictResolver })
  assert.equal(await b.hasUnsyncedChanges(), false)
  assert.equal((await b.record('tasks', task)).title, 'Mine')
  await b.sync({ replacement: true }) // verify.md
  assert.equal((await account.converge()).tasks[task].title, 'A')
})

testDefault('between pull and push the server merges, without the resolver', async () => {
  const { conflictResolver } = await greater()
  const { account, a, b, task } = await twoDates()
  await b.sync({ conflictResolver, beforePush: () => a.sync() })
  assert.equal((await account.converge()).tasks[task].description, '2026-03-02')
})

// --- reject --------------------------------------------------------------------------------------

testReject('reject: between pull and push it is a 409, and the resolver decides', async () => {
  const { conflictResolver } = await greater()
  const { patiently } = await snippet(PAGE, 'patient')
  const { account, a, b, task } = await twoDates()
  let syncs = 0
  const faster = () => (syncs === 1 ? a.sync() : undefined)
  await patiently(() => {
    syncs += 1
    return b.sync({ conflictResolver, beforePush: faster })
  })
  assert.equal(syncs, 2)
  assert.equal((await account.converge()).tasks[task].description, '2026-03-05')
})

testReject('reject: a push without lastPulledAt is a conflict each time', async () => {
  const account = new Account()
  const { a, b, task } = await account.twoPhones()
  await a.editAndSync('tasks', task, { title: 'A' })
  await b.edit('tasks', task, { description: 'B' })
  const { pushChanges } = b.client
  b.client.pushChanges = ({ changes }) => pushChanges({ changes })
  for (let time = 0; time < 3; time += 1) await assertRefused(b.sync(), 409, 'sync_conflict')
  b.client.pushChanges = pushChanges
  await b.sync()
  assert.equal((await account.converge()).tasks[task].description, 'B')
})

test('patience ends, and is not for other errors', async () => {
  const { patiently } = await snippet(PAGE, 'patient')
  for (const [code, expected] of Object.entries({ sync_conflict: 3, unknown_parent: 1 })) {
    let syncs = 0
    const failing = async () => {
      syncs += 1
      throw new Error(`{"code":"${code}"}`)
    }
    await assert.rejects(patiently(failing, 3))
    assert.equal(syncs, expected)
  }
})

// --- One record that is refused ------------------------------------------------------------------

test('with allowPartial the rest is stored; the refused record goes when it is mended', async () => {
  const account = new Account()
  const { a, b, project } = await account.twoPhones()
  const long = await a.create('tasks', { title: 'x'.repeat(256), project_id: project })
  const short = await a.create('tasks', { title: 'Short', project_id: project })
  await assertRefused(a.sync(), 422, 'validation_failed')
  await b.sync()
  assert.equal(await b.record('tasks', short), undefined)
  a.allowPartial = true
  const log = {}
  await synchronize({ database: a.database, ...a.client, log })
  assert.deepEqual(log.rejectedIds, { tasks: [long] })
  await b.sync()
  assert.equal((await b.record('tasks', short)).title, 'Short')
  assert.equal(await a.hasUnsyncedChanges(), true)
  await a.edit('tasks', long, { title: 'Shorter' })
  assert.equal((await account.converge()).tasks[long].title, 'Shorter')
})

test('every row and every snippet of the page is run here', () => {
  const tests = readFileSync(fileURLToPath(import.meta.url), 'utf8')
  const page = pageText(PAGE)
  const names = Array.from(page.matchAll(/^```\w+ ?(.*)$/gm), ([, name]) => name)
  assert.ok(names.length > 3)
  assert.deepEqual(names.filter((name) => !tests.includes(`snippet(PAGE, '${name}')`)), [])
  const rows = page.match(/^\| (?!A \||---).*\|$/gm)
  const said = Array.from(tests.matchAll(/^(?:row\(|  )['"](\|.*)['"],/gm), ([, words]) => words)
  assert.ok(rows.length > 5)
  assert.deepEqual(rows.filter((line) => !said.some((words) => line.startsWith(words))), [])
})
