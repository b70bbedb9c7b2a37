// `melon.live`: the other phone's change comes by itself. MELON_LIVE is the live process beside the server.

import assert from 'node:assert/strict'
import { get } from 'node:http'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { listen } from 'melon-sync'
import { assertConverged, phones } from './support.js'

const url = process.env.MELON_LIVE
const until = async (isSo) => {
  for (let turn = 0; !(await isSo()); turn += 1) {
    assert.ok(turn < 500, 'it never came')
    await sleep(20)
  }
}
const count = async (phone) => Object.keys((await phone.records()).projects).length

/** The phone, listening; what it was told. */
function listening(t, phone, options = {}) {
  const told = { states: [], syncs: [], errors: [] }
  const live = phone.client.live(phone.database, {
    url,
    onState: (state) => told.states.push(state),
    onSync: (result) => told.syncs.push(result),
    onError: (error) => told.errors.push(error),
    ...options,
  })
  t.after(() => live.stop())
  return Object.assign(told, { live })
}

/** As React Native, whose answers have no body that could be read piece by piece. */
function withoutStreams(t) {
  const { Response } = globalThis
  globalThis.Response = undefined
  t.after(() => (globalThis.Response = Response))
}

/** The part of react-native-sse that is used, over plain HTTP. */
class EventSource {
  listeners = {}

  constructor(address, { headers }) {
    this.request = get(address, { headers }, (answer) => {
      if (answer.statusCode !== 200) return this.tell('error', { xhrStatus: answer.statusCode })
      this.tell('open')
      answer.setEncoding('utf8')
      answer.on('data', (text) => text.includes('event: news') && this.tell('news'))
      answer.on('error', () => {})
      answer.on('end', () => this.tell('close'))
    })
    this.request.on('error', () => this.tell('error', { xhrStatus: 0 }))
  }

  addEventListener(type, listener) {
    this.listeners[type] = listener
  }

  tell(type, event) {
    this.listeners[type]?.(event)
  }

  close() {
    this.request.destroy()
  }
}

const MANNERS = [
  ['a stream', 'stream', () => ({})],
  ['long polls', 'poll', withoutStreams],
  ['an EventSource that was passed in', 'stream', (t) => (withoutStreams(t), { eventSource: EventSource })],
]

for (const [name, state, prepare] of MANNERS) {
  test(`the other phone's change comes by itself, by ${name}`, async (t) => {
    const [phone, tablet] = await phones(2)
    const told = listening(t, phone, prepare(t))
    await until(() => told.states.includes(state))
    for (const number of [1, 2, 3]) {
      await tablet.create('projects', { name: `Home ${number}` })
      await tablet.sync()
      await until(async () => (await count(phone)) === number)
    }
    assert.deepEqual([told.live.state, told.errors], [state, []])
    await assertConverged(phone, tablet)
  })
}

test('what this phone pushed brings no sync', async (t) => {
  const [phone] = await phones(1)
  const told = listening(t, phone)
  await until(() => told.states.includes('stream'))
  await phone.create('projects', { name: 'Home' })
  await phone.sync()
  await sleep(800)
  assert.equal(told.syncs.length, 1) // the one that it begins with
})

test('many events are few syncs, and none is lost', async (t) => {
  const [phone, tablet] = await phones(2)
  const told = listening(t, phone)
  await until(() => told.states.includes('stream'))
  for (let number = 1; number <= 20; number += 1) {
    await tablet.create('projects', { name: `Home ${number}` })
    await tablet.sync()
  }
  await until(async () => (await count(phone)) === 20)
  assert.ok(told.syncs.length <= 21, `${told.syncs.length}`)
  assert.deepEqual(told.errors, [])
})

for (const means of ['stream', 'poll']) {
  for (const end of ['goes to the background', 'stops']) {
    test(`who ${end} while a token or a clock is waited for does not listen: ${means}`, async (t) => {
      let tellState, giveToken, giveClock
      const asked = []
      const work = {
        root: 'http://127.0.0.1:9/api/v1',
        sync: async () => ({}),
        token: () => new Promise((resolve) => (giveToken = resolve)),
        since: () => new Promise((resolve) => (giveClock = resolve)),
        poll: async () => asked.push('poll'),
      }
      const appState = {
        currentState: 'active',
        addEventListener: (_type, listener) => ((tellState = listener), { remove() {} }),
      }
      if (means === 'poll') withoutStreams(t)
      const fetch = async () => asked.push('stream')
      const live = listen(work, { appState, ...(means === 'stream' && { fetch }) })
      t.after(() => live.stop())
      if (means === 'stream') {
        await until(() => giveToken)
        giveToken('token')
      }
      await until(() => giveClock)
      if (end === 'stops') live.stop()
      else tellState('background')
      giveClock(7)
      await sleep(20)
      assert.deepEqual(asked, [])
      assert.equal(live.state, end === 'stops' ? 'stopped' : 'paused')
    })
  }
}

test('both listen, and edit at once', async (t) => {
  const both = await phones(2)
  const told = both.map((phone) => listening(t, phone))
  await until(() => told.every(({ states }) => states.includes('stream')))
  for (let number = 0; number < 10; number += 1) {
    await Promise.all(both.map((phone) => phone.create('projects', { name: 'Home' }).then(() => phone.sync())))
  }
  await until(async () => (await count(both[0])) === 20 && (await count(both[1])) === 20)
  await assertConverged(...both)
})

test('it listens while the app is in the foreground', async (t) => {
  const [phone, tablet] = await phones(2)
  let change
  const appState = {
    currentState: 'active',
    addEventListener: (_type, listener) => ((change = listener), { remove: () => (change = undefined) }),
  }
  const told = listening(t, phone, { appState })
  await until(() => told.live.state === 'stream')
  change('inactive')
  assert.equal(told.live.state, 'paused')
  await tablet.create('projects', { name: 'Home' })
  await tablet.sync()
  await sleep(800)
  assert.equal(await count(phone), 0)
  change('active')
  await until(async () => (await count(phone)) === 1)
  await until(() => told.live.state === 'stream')
  told.live.stop()
  assert.deepEqual([told.live.state, change], ['stopped', undefined])
})

test('where nobody can be listened to it asks now and then, and says so', async (t) => {
  const [phone, tablet] = await phones(2)
  const told = listening(t, phone, { url: 'http://127.0.0.1:1', askEveryMs: 50 })
  await tablet.create('projects', { name: 'Home' })
  await tablet.sync()
  await until(async () => (await count(phone)) === 1)
  assert.deepEqual([told.live.state, told.states.includes('stream')], ['asking', false])
  assert.equal(told.errors[0].code, 'network_failed')
})

test('a sync that fails is made again, with nothing said meanwhile', async (t) => {
  const [phone, tablet] = await phones(2)
  const told = listening(t, phone)
  await until(() => told.states.includes('stream'))
  const refused = { status: 422, headers: { 'Content-Type': 'application/problem+json' }, body: '{"status":422,"code":"validation_failed"}' }
  phone.network.on('/sync/pull', refused)
  await tablet.create('projects', { name: 'Home' })
  await tablet.sync()
  await until(async () => (await count(phone)) === 1)
  assert.equal(told.errors.length, 1)
})

test('an access token that has expired is refreshed', async (t) => {
  const [phone, tablet] = await phones(2)
  await phone.ageToken()
  const told = listening(t, phone)
  await until(() => told.states.includes('stream'))
  await tablet.create('projects', { name: 'Home' })
  await tablet.sync()
  await until(async () => (await count(phone)) === 1)
  assert.deepEqual(told.errors, [])
})

test('it ends when nobody is signed in any more', async (t) => {
  const [phone, tablet] = await phones(2)
  const told = listening(t, phone)
  await until(() => told.states.includes('stream'))
  const [{ id }] = (await tablet.client.sessions()).filter(({ current }) => !current)
  await tablet.client.endSession(id)
  await until(() => told.live.state === 'stopped')
  assert.equal(told.errors.at(-1).name, 'SignedOutError')
  assert.equal(await phone.client.user(), null)
})

assert.ok(url, 'MELON_LIVE says where the live process is')
