// An app that is killed, and started again on what is on its disk: LokiJS and SQLite, the number of its
// pushes, a migration in between. Each app is a process of its own (app.js).

import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { assertConverged, newPhone } from './support.js'

const PULL = '/sync/pull'
const PUSH = '/sync/push'
const TOO_LARGE = { status: 413, headers: {}, body: '{"status":413,"code":"payload_too_large"}' }
const apps = new Set()

after(() => apps.forEach((app) => app.kill()))

class App {
  #waiting = new Map()

  constructor(seat, version) {
    this.process = fork(new URL('./app.js', import.meta.url), [JSON.stringify({ ...seat, version })], { stdio: 'ignore' })
    this.process.on('message', ({ id, result, error }) => {
      const { resolve, reject } = this.#waiting.get(id)
      if (error) reject(new Error(error))
      else resolve(result)
    })
    this.gone = new Promise((resolve) => this.process.once('exit', resolve))
    this.gone.then(() => this.#waiting.forEach(({ reject }) => reject(new Error('killed'))))
    for (const name of ['signIn', 'create', 'edit', 'remove', 'sync', 'records', 'hasUnsynced', 'settle']) {
      this[name] = (...args) => this.#call(name, args)
    }
    apps.add(this)
  }

  async kill() {
    this.process.kill('SIGKILL')
    await this.gone
  }

  #call(name, args) {
    return new Promise((resolve, reject) => {
      const id = randomUUID()
      this.#waiting.set(id, { resolve, reject })
      this.process.send({ id, name, args })
    })
  }
}

/** A person's other phone, and the seat of an app of theirs that is signed in. */
async function begin(kind, version = 2) {
  const other = await newPhone()
  await other.client.register(other.credentials)
  const folder = await mkdtemp(join(tmpdir(), 'melon-app-'))
  const { network } = await newPhone()
  const seat = { kind, folder, url: network.url }
  const app = new App(seat, version)
  await app.signIn('login', other.email)
  return { app, seat, network, other }
}

function pushesOf(network) {
  const calls = network.calls.filter(({ path }) => path === PUSH)
  return calls.map((call) => {
    const text = call.headers['content-encoding'] ? gunzipSync(call.body) : call.body
    return { ...call, text, number: JSON.parse(text).pushNumber }
  })
}

/** What a network kept arrives now. */
async function deliver({ headers, text }) {
  const { authorization: Authorization } = headers
  const answer = await fetch(`${process.env.MELON_URL}/api/v1/sync/push`, {
    method: 'POST',
    headers: { Authorization, 'Content-Type': 'application/json' },
    body: text,
  })
  return [answer.status, (await answer.json()).code]
}

async function assertSame(app, other) {
  await app.sync()
  const held = await assertConverged(other)
  assert.deepEqual(await app.records(), held)
  assert.equal(await app.hasUnsynced(), false)
  return held
}

for (const kind of ['loki', 'sqlite']) {
  test(`${kind}: killed between a push and its mark, it is pushed again under a number of its own`, async () => {
    const { app, seat, network, other } = await begin(kind)
    await app.sync()
    const id = await app.create('projects', { name: 'Old' })
    await app.settle()
    network.on(PUSH, { late: () => app.kill() })
    await assert.rejects(app.sync(), /killed/)

    const again = new App(seat, 2)
    assert.equal(await again.hasUnsynced(), true)
    await again.edit('projects', id, { name: 'New' })
    await again.sync()
    const [first, second, ...more] = pushesOf(network)
    assert.ok(second.number > first.number && more.length === 0)
    assert.deepEqual(await deliver(first), [409, 'push_outdated'])
    const { projects } = await assertSame(again, other)
    assert.deepEqual(Object.values(projects).map(({ name }) => name), ['New'])
  })

  test(`${kind}: killed before its push arrives, nothing is lost and no number is used twice`, async () => {
    const { app, seat, network, other } = await begin(kind)
    await app.create('projects', { name: 'Home' })
    await app.settle()
    network.on(PUSH, { status: 503, before: () => app.kill() })
    await assert.rejects(app.sync(), /killed/)

    const again = new App(seat, 2)
    const kept = await again.create('projects', { name: 'Work' })
    await again.sync()
    await again.remove('projects', kept)
    await again.sync()
    const numbers = pushesOf(network).map(({ number }) => number)
    assert.deepEqual([...new Set(numbers)].sort(), numbers)
    const [, second] = pushesOf(network)
    assert.deepEqual(await deliver(second), [409, 'push_outdated']) // it would bring the deleted one back
    assert.equal(Object.keys((await assertSame(again, other)).projects).length, 1)
  })

  test(`${kind}: killed between the parts of a push, the rest goes up after it`, async () => {
    const { app, seat, network, other } = await begin(kind)
    for (const name of ['One', 'Two', 'Three', 'Four']) await app.create('projects', { name })
    await app.settle()
    network.on(PUSH, TOO_LARGE, undefined, { late: () => app.kill() })
    await assert.rejects(app.sync(), /killed/)

    const again = new App(seat, 2)
    const { projects } = await assertSame(again, other)
    assert.equal(Object.keys(projects).length, 4)
  })

  test(`${kind}: killed in the pull of a migration, the updated app asks for it again`, async () => {
    const { app, seat, network, other } = await begin(kind, 1)
    const id = await app.create('projects', { name: 'Home' })
    await app.sync()
    await other.sync()
    await other.edit('projects', id, { description: 'by another phone' })
    await other.sync()
    await app.sync() // it knows no such column, and has had the news
    const offline = await app.create('projects', { name: 'Made offline' })
    await app.settle()
    await app.kill()

    const updated = new App(seat, 2)
    network.on(PULL, { late: () => updated.kill() })
    await assert.rejects(updated.sync(), /killed/)
    const again = new App(seat, 2)
    const { projects } = await assertSame(again, other)
    assert.equal(projects[id].description, 'by another phone')
    assert.equal(projects[offline].description, null)
    const migrations = network.calls.filter(({ path }) => path === PULL).map(({ body }) => JSON.parse(body).migration)
    assert.equal(migrations.filter(Boolean).length, 2)
  })
}
