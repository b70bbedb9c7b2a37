// docs/troubleshooting.md: what the server says, and what is said when it cannot be reached. It wants
// a server of its own, with limits that are soon reached (test_stock_client.py).

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { after, before, test } from 'node:test'
import { Account } from './account.js'
import { snippet } from './guide.js'
import { takeLines } from './phone.js'
import { Explained, PAGE } from './troubleshooting.js'

const require = createRequire(import.meta.url)
const { appSchema, tableSchema } = require('@nozbe/watermelondb')
const { schemaMigrations } = require('@nozbe/watermelondb/Schema/migrations')

const { CHROMIUM, DATABASE_URL, JWT_SECRET_KEY, MAX_PUSH_RECORDS } = process.env
const { MELON_PYTHON, MELON_URL, WEB_APP_PORT } = process.env
const guide = new Explained((chapter) => chapter.startsWith('The server'))

const { sync } = await snippet('docs/stock-client.md', 'sync')
const synced = (phone) => sync(phone.database, phone.token)
const API = `${MELON_URL}/api/v1`
const JSON_BODY = { 'Content-Type': 'application/json' }
const PASSWORD = 'correct-horse-battery' // of phone.js

async function signIn(email, options = { headers: JSON_BODY }) {
  const body = JSON.stringify({ email, password: PASSWORD })
  const answer = await fetch(`${API}/auth/login`, { method: 'POST', body, ...options })
  const text = await answer.text()
  if (!answer.ok) throw new Error(text)
  return JSON.parse(text)
}

test('an expired access token is refreshed, and the edit goes', async () => {
  const account = new Account()
  const { a, task } = await account.twoPhones()
  const { refresh_token: refreshToken, access_token: token } = await signIn(account.email)
  await a.edit('tasks', task, { title: 'Paint twice' })
  await guide.throws(() => sync(a.database, older(token, 15 * 60)))
  const late = await refresh(older(refreshToken, 7 * 86_400))
  assert.equal(guide.shows(await late.text()), '"code":"token_expired"')
  const answer = await refresh(refreshToken)
  await sync(a.database, (await answer.json()).access_token)
  assert.equal((await account.converge()).tasks[task].title, 'Paint twice')
  takeLines() // it has no device_id
})

const refresh = (token) =>
  fetch(`${API}/auth/refresh`, { method: 'POST', headers: { Authorization: `Bearer ${token}` } })

/** The token as the same server would have made it so many seconds (and one) earlier. */
function older(token, seconds) {
  const [head, body] = token.split('.')
  const { iat, exp, ...claims } = JSON.parse(Buffer.from(body, 'base64url'))
  const earlier = { ...claims, iat: iat - seconds - 1, exp: exp - seconds - 1 }
  const signed = `${head}.${Buffer.from(JSON.stringify(earlier)).toString('base64url')}`
  return `${signed}.${createHmac('sha256', JWT_SECRET_KEY).update(signed).digest('base64url')}`
}

test('signed out elsewhere, or without a token: signed in again, the edit goes', async () => {
  const account = new Account()
  const { a, b, task } = await account.twoPhones()
  await a.edit('tasks', task, { title: 'Paint twice' })
  await guide.throws(() => sync(a.database, undefined))
  await b.call('POST', '/auth/logout-all')
  await guide.throws(() => synced(a))
  for (const phone of [a, b]) await phone.login()
  await synced(a)
  assert.equal((await account.converge()).tasks[task].title, 'Paint twice')
  takeLines() // they have no device_id
})

test('a conflict is over after a sync, never after another push', async () => {
  const account = new Account()
  const { a, b, project } = await account.twoPhones()
  const task = await a.create('tasks', { title: 'Draft', project_id: project })
  await assert.rejects(a.sync({ loseAnswer: 'push' }))
  await b.sync()
  let sent
  const faster = () => b.editAndSync('tasks', task, { title: 'Final' })
  const { pushChanges } = a.client
  a.client.pushChanges = (args) => pushChanges((sent = args))
  await guide.throws(() => a.sync({ beforePush: faster }))
  for (let time = 0; time < 3; time += 1) await guide.throws(() => pushChanges(sent))
  await synced(a)
  assert.equal((await account.converge()).tasks[task].title, 'Final')
})

const TABLE = (name) => tableSchema({ name, columns: [{ name: 'body', type: 'string' }] })

/** A phone with a table that the server does not have, too. */
async function withTable(name) {
  const account = new Account()
  const { project } = await account.twoPhones()
  const tables = [...Object.values(account.phones[0].database.schema.tables), TABLE(name)]
  const schema = appSchema({ version: 1, tables })
  const migrations = schemaMigrations({ migrations: [] })
  const phone = await account.phone({ app: { schema, migrations } })
  await phone.sync()
  await phone.create(name, { body: 'Hello' })
  const task = await phone.create('tasks', { title: 'New', project_id: project })
  return { account, phone, task }
}

test('a table that the server does not have: the rest with allowPartial', async () => {
  const { phone, task } = await withTable('notes')
  await guide.throws(() => synced(phone))
  phone.allowPartial = true
  await phone.sync()
  assert.equal((await phone.database.get('tasks').find(task)).syncStatus, 'synced')
  assert.equal(await phone.hasUnsyncedChanges(), true)
})

test('a table that is to stay on the phone', async () => {
  const { withoutDrafts } = await snippet(PAGE, 'local-only')
  const { account, phone, task } = await withTable('drafts')
  await guide.throws(() => synced(phone))
  const { pushChanges } = phone.client
  phone.client.pushChanges = ({ changes, ...rest }) =>
    pushChanges({ changes: withoutDrafts(changes), ...rest })
  await phone.sync()
  assert.equal(await phone.database.get('drafts').query().fetchCount(), 1)
  const fresh = await account.phone()
  await fresh.sync()
  assert.equal((await fresh.record('tasks', task)).title, 'New')
})

/** What a phone that is new holds. */
async function stored(account) {
  const phone = await account.phone()
  await phone.sync()
  return phone.records()
}

/** A record that is refused, one that waits with it, and what mends it. */
function refused(name, wrong, right) {
  test(name, async () => {
    const account = new Account()
    const { a, project } = await account.twoPhones()
    const task = await a.create('tasks', { title: 'New', project_id: project, ...wrong })
    await a.create('tasks', { title: 'Waits', project_id: project })
    await guide.throws(() => synced(a))
    assert.equal(Object.keys((await stored(account)).tasks).length, 1)
    await assert.rejects(synced(a), ({ message }) => {
      const [errors] = Object.values(JSON.parse(message).errors.changes.tasks.created)
      assert.deepEqual(Object.keys(errors), Object.keys(wrong))
      return true
    })
    a.allowPartial = true
    await a.sync()
    assert.equal(Object.keys((await stored(account)).tasks).length, 2)
    await a.edit('tasks', task, right(project))
    await synced(a)
    assert.equal(Object.keys((await account.converge()).tasks).length, 3)
  })
}

refused('a task without its project', { project_id: 'nowhere' }, (id) => ({ project_id: id }))
refused('a task that needs a project', { project_id: '' }, (id) => ({ project_id: id }))
refused('a title that is too long', { title: 'x'.repeat(256) }, () => ({ title: 'Short' }))

test('a clock of more than a day ahead', async () => {
  const { a } = await new Account().twoPhones()
  const [body, headers] = [JSON.stringify({ lastPulledAt: Date.now() + 2 * 86_400_000 }), JSON_BODY]
  await guide.throws(() => a.call('POST', '/sync/pull', { headers, body }))
})

test('a push that is too large is kept by the phone', async () => {
  const account = new Account()
  const { a, project } = await account.twoPhones()
  const many = Number(MAX_PUSH_RECORDS)
  const tasks = Array.from({ length: many + 1 }, (_, n) => ({ title: `${n}`, project_id: project }))
  const ids = await a.createAll(tasks.map((task) => ['tasks', task]))
  await guide.throws(() => synced(a))
  assert.equal(await a.hasUnsyncedChanges(), true)
  await a.write('tasks', ids[0], (record) => record.destroyPermanently())
  await synced(a)
  assert.equal(Object.keys((await account.converge()).tasks).length, 1 + many)
})

test('too many pulls: after Retry-After it goes on', async () => {
  const { a } = await new Account().twoPhones()
  const headers = { Authorization: `Bearer ${a.token}` }
  const pull = () => fetch(`${API}/sync/pull?last_pulled_at=null`, { headers })
  let answer
  while (!answer) {
    const answers = await Promise.all(Array.from({ length: 200 }, pull))
    answer = answers.find(({ status }) => status === 429)
  }
  guide.shows(await answer.text())
  const seconds = Number(answer.headers.get('Retry-After'))
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000))
  await synced(a)
})

/** Do this while others cannot write to the database, until `release` is called. */
async function whileHeld(work) {
  const path = DATABASE_URL.replace('sqlite:///', '')
  const hold = 'import sqlite3,sys;c=sqlite3.connect(sys.argv[1]);c.execute("BEGIN IMMEDIATE")'
  const holder = spawn(MELON_PYTHON, ['-c', `${hold};print(1,flush=True);input()`, path])
  await once(holder.stdout, 'data')
  await work(() => holder.stdin.end())
}

test('a server without room for more: nothing was applied, and later it is', async () => {
  const account = new Account()
  const { a, project } = await account.twoPhones()
  const push = (id) => {
    const created = [{ id, title: id, project_id: project }]
    const body = JSON.stringify({ lastPulledAt: 0, changes: { tasks: { created } } })
    return a.call('POST', '/sync/push', { headers: JSON_BODY, body })
  }
  const ids = Array.from({ length: 80 }, (_, n) => `t${n}`)
  const refusals = []
  await whileHeld(async (release) => {
    const refused = (id) => (error) => release(refusals.push([id, error]))
    await Promise.all(ids.map((id) => push(id).catch(refused(id))))
  })
  assert.notEqual(refusals.length, 0)
  for (const [, error] of refusals) {
    assert.equal(guide.shows(error.message), '"code":"unavailable"')
  }
  const [id] = refusals[0]
  assert.equal((await stored(account)).tasks[id], undefined)
  await push(id)
  assert.equal((await stored(account)).tasks[id].title, id)
})

test('a body that is not called JSON, a path that is not there', async () => {
  const account = new Account()
  await account.phone()
  await guide.throws(() => signIn(account.email, {}))
  await signIn(account.email)
  const answer = await fetch(`${MELON_URL}/sync/pull`)
  guide.shows(await answer.text())
})

test('nobody listens', async () => {
  const free = createServer()
  await new Promise((resolve) => free.listen(0, '127.0.0.1', resolve))
  const { port } = free.address()
  await new Promise((resolve) => free.close(resolve))
  await guide.throws(() => fetch(`http://127.0.0.1:${port}/api/v1/sync/pull`))
})

// --- A web app -----------------------------------------------------------------------------------

const web = createServer((_, answer) =>
  answer.writeHead(200, { 'Content-Type': 'text/html' }).end('<title>App</title>'),
)
let browser

before(async () => {
  const { chromium } = require('../browser/node_modules/playwright-core')
  const args = ['--no-sandbox', '--disable-gpu', '--disable-background-networking']
  browser = await chromium.launch({ executablePath: CHROMIUM, args })
  await new Promise((resolve) => web.listen(Number(WEB_APP_PORT), '127.0.0.1', resolve))
})

after(async () => {
  await browser.close()
  web.close()
  web.closeAllConnections()
})

/** What a page of this origin gets, or what fetch throws, and what the console says. */
async function fetched(origin) {
  const page = await browser.newPage()
  const lines = []
  page.on('console', (message) => lines.push(message.text()))
  await page.goto(origin)
  const call = (url) => fetch(url).then(({ status }) => status, ({ message }) => message)
  const result = await page.evaluate(call, `${MELON_URL}/healthz`)
  await page.close()
  return { result, lines }
}

test('a web app whose origin is not named, and one that is', async () => {
  const { result, lines } = await fetched(`http://localhost:${WEB_APP_PORT}`)
  guide.shows(result)
  guide.shows(lines.find((line) => line.includes('CORS')))
  assert.equal((await fetched(`http://127.0.0.1:${WEB_APP_PORT}`)).result, 200)
})

guide.testTheRest({
  'Network request failed': 'fetch of React Native, whatever went wrong',
  '"code":"refused"': 'an app with rules of its own: this one has none',
})
