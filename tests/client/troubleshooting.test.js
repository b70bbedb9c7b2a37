// docs/troubleshooting.md: what a sync says in the client's words, and that the remedies help. What the
// database says is in troubleshooting_database.test.js, the server in troubleshooting_server.test.js.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { test } from 'node:test'
import { Account, NEW_APP, OLD_APP } from './account.js'
import { pageText, snippet } from './guide.js'
import { PASSWORD, takeLines } from './phone.js'
import { Explained, PAGE, syncing } from './troubleshooting.js'

const guide = new Explained((chapter) => chapter.startsWith('A sync'))
const reset = ({ database }) => database.write(() => database.unsafeResetDatabase())

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
  guide.logged('already exists locally. This')
  assert.equal((await account.converge()).projects[project].description, 'meanwhile')
})

test('signed in again without a device_id: a deletion is undone, and done again', async () => {
  const remove = (phone, id) => phone.remove('projects', id)
  const { account, phone, project } = await signsInAgain({}, remove)
  guide.logged('is marked as deleted')
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

test('by the snippet’s sign-in a deletion after signing out and in stays one', async () => {
  const { signIn, sync } = await snippet('docs/stock-client.md', 'sync')
  const account = new Account()
  const other = await account.phone()
  const phone = await account.phone()
  const signedIn = async () => (await signIn('/auth/login', phone.database, account.email, PASSWORD)).access_token
  await sync(phone.database, await signedIn())
  const project = await phone.create('projects', { name: 'Home' })
  await sync(phone.database, await signedIn())
  await phone.remove('projects', project)
  await sync(phone.database, await signedIn())
  assert.deepEqual(takeLines().filter((line) => line.includes('[Sync]')), [])
  await other.sync()
  assert.deepEqual((await account.converge()).projects, {})
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

test('two phones with one device_id, as after a restore: told to update, and both edits are kept', async () => {
  const shared = { deviceId: 'constant' }
  assert.equal(await descriptionAfter(shared, shared), 'from a')
  guide.logged("but it doesn't exist locally")
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
  guide.logged('You are trying to sync a collection named tasks')
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
  await a.database.adapter.removeLocal('__watermelon_last_pulled_at')
  await a.edit('tasks', task, { title: 'Paint twice' })
  await a.sync()
  assert.equal(guide.takeShown().length, 3) // and one for each record
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
  guide.logged('previous pulled-at time was greater')
  await assert.rejects(a.sync(), /foreign_clock/)
  await a.database.adapter.setLocal('__watermelon_last_pulled_at', String(Date.now() - 3_600_000))
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
  guide.logged('to mark it as synced', 1)
  const titles = Object.values((await account.converge()).tasks).map(({ title }) => title)
  assert.deepEqual(titles.sort(), ['Added', 'Mine', 'New', 'Paint'])
  takeLines()
})

test('sendCreatedAsUpdated is not needed', async () => {
  const account = new Account()
  await account.twoPhones()
  const fresh = await account.phone()
  await syncing(fresh, { sendCreatedAsUpdated: true })
  guide.logged("'sendCreatedAsUpdated' option is enabled", 2)
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

guide.testTheRest({
  "Cannot read property 'timestamp' of undefined": 'Hermes, the engine of React Native',
  'JSON Parse error: Unexpected character: <': 'Hermes, the engine of React Native',
  'provideSyncJson unavailable. Use JSI mode to enable.': 'src/adapters/sqlite/index.js',
})

test('every chapter with a message is read by one of the tests', () => {
  const chapters = pageText(PAGE).split(/^## /m).slice(1).filter((text) => text.includes('\n### '))
  const known = /^(A sync|Schemas|Reading|The server)/
  assert.deepEqual(chapters.filter((text) => !known.test(text)), [])
})

test('every snippet of the page is run by a test', () => {
  const names = Array.from(pageText(PAGE).matchAll(/^```\w+ (\S+)$/gm), ([, name]) => name)
  const here = readdirSync(import.meta.dirname).filter((name) => name.startsWith('troubleshooting'))
  const tests = here.map((name) => readFileSync(join(import.meta.dirname, name), 'utf8')).join('')
  assert.ok(names.length > 1)
  assert.deepEqual(names.filter((name) => !tests.includes(`snippet(PAGE, '${name}')`)), [])
  assert.equal(pageText(PAGE).match(/^```\w+$/gm), null)
})
