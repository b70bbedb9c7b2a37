// `melon.live`: the other phone's change comes by itself. MELON_LIVE is the live process beside the server.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, get } from 'node:http'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { buildSync } from 'esbuild'
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

/** React Native's, as far as react-native-sse uses it, over plain HTTP. */
class XMLHttpRequest {
  static LOADING = 3
  static DONE = 4
  headers = {}
  status = 0
  responseText = ''

  open(_method, address) {
    this.address = address
  }

  setRequestHeader(name, value) {
    this.headers[name] = value
  }

  send() {
    this.request = get(this.address, { headers: this.headers }, (answer) => {
      this.status = answer.statusCode
      answer.setEncoding('utf8')
      answer.on('data', (text) => {
        this.responseText += text
        this.become(XMLHttpRequest.LOADING)
      })
      answer.on('error', () => {})
      answer.on('end', () => this.become(XMLHttpRequest.DONE))
    })
    this.request.on('error', () => this.onerror())
  }

  become(state) {
    this.readyState = state
    this.onreadystatechange()
  }

  abort() {
    this.request.destroy()
  }
}

/** react-native-sse, which is written for React Native's bundler. */
function eventSource() {
  const entryPoints = [createRequire(import.meta.url).resolve('react-native-sse')]
  const [{ text }] = buildSync({ entryPoints, bundle: true, write: false, format: 'cjs' }).outputFiles
  const module = { exports: {} }
  new Function('module', text)(module)
  globalThis.XMLHttpRequest = XMLHttpRequest
  return module.exports.default
}

const EventSource = eventSource()
const MANNERS = [
  ['a stream', 'stream', () => ({})],
  ['long polls', 'poll', withoutStreams],
  ['react-native-sse', 'stream', (t) => (withoutStreams(t), { eventSource: EventSource })],
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

/** From now on time passes when the test says so, by so many ms. */
function stopTime(t) {
  const { setTimeout, setInterval, clearTimeout, clearInterval } = globalThis
  const timers = new Set()
  let now = 0
  const add = (isRepeated) => (work, ms = 0, ...values) => {
    const timer = { isRepeated, work: () => work(...values), unref: () => timer } // fetch's own want more of them
    timer.refresh = () => timers.add(Object.assign(timer, { at: now + ms })) && timer
    return timer.refresh()
  }
  const clear = (timer) => timers.delete(timer)
  Object.assign(globalThis, { setTimeout: add(false), setInterval: add(true) })
  Object.assign(globalThis, { clearTimeout: clear, clearInterval: clear })
  t.after(() => Object.assign(globalThis, { setTimeout, setInterval, clearTimeout, clearInterval }))
  return (ms) => {
    now += ms
    for (const timer of timers) {
      if (timer.at > now) continue
      timers.delete(timer)
      if (timer.isRepeated) timer.refresh()
      timer.work()
    }
  }
}

/** Listens, by a clock of the test's own, to a server that says what `answer` does; `streams` are its answers. */
async function onAClock(t, options, answer) {
  const streams = []
  const server = createServer((request, stream) => answer(stream, streams.push(stream), request))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => (server.close(), server.closeAllConnections()))
  const pass = stopTime(t)
  const told = { streams, syncs: 0, errors: [], failed: [] }
  const work = {
    root: `http://127.0.0.1:${server.address().port}/api/v1`,
    sync: async () => void (told.syncs += 1),
    since: async () => 7,
    token: async (failed) => (failed && told.failed.push(failed), 'token'),
  }
  told.live = listen(work, { onError: (error) => told.errors.push(error), ...options })
  t.after(() => told.live.stop())
  /** So many seconds, or fewer. */
  told.pass = async (seconds, isEnough = () => false) => {
    for (let passed = 0; passed < seconds && !isEnough(); passed += 0.5) {
      pass(500)
      await sleep(5)
    }
  }
  await told.pass(60, () => streams.length)
  return told
}

const begin = (stream, retry) => {
  stream.writeHead(200, { 'Content-Type': 'text/event-stream' })
  stream.write(`retry: ${retry}\n\n`)
}

// How many syncs two streams are: react-native-sse comes again by itself, with the `since` that it has.
for (const [name, options, syncs] of [['fetch', () => ({}), 2], ['react-native-sse', MANNERS[2][2], 1]]) {
  test(`a stream that is silent is opened again, one without news is not: ${name}`, async (t) => {
    const told = await onAClock(t, options(t), (stream, number) => begin(stream, number))
    for (let turn = 0; turn < 10; turn += 1) {
      await told.pass(24)
      told.streams[0].write(turn % 2 ? 'event: news\ndata: {}\n\n' : `:\n\nretry: ${1000 + turn}\n\n`)
    }
    assert.deepEqual([told.live.state, told.streams.length, told.errors], ['stream', 1, []])
    await told.pass(120, () => told.streams.length > 1)
    assert.equal(told.streams.length, 2)
    assert.deepEqual(told.errors.map(({ message }) => message), ['The stream is silent.'])
    await until(() => told.streams[0].closed)
  })

  test(`who is told when to come again comes then: ${name}`, async (t) => {
    const told = await onAClock(t, options(t), (stream) => {
      begin(stream, 20_000)
      setImmediate(() => stream.end())
    })
    await told.pass(19)
    assert.equal(told.streams.length, 1)
    await told.pass(22, () => told.streams.length > 1)
    assert.deepEqual([told.streams.length, told.syncs, told.errors], [2, syncs, []])
  })

  test(`what the server refuses is told, a token that it does not take is replaced: ${name}`, async (t) => {
    const told = await onAClock(t, options(t), (stream, number) => {
      if (number > 2) return begin(stream, 1000)
      stream.writeHead(number === 1 ? 401 : 503)
      stream.end('{}')
    })
    await told.pass(60, () => told.live.state === 'stream')
    assert.deepEqual(told.errors.map(({ status }) => status), [401, 503])
    assert.deepEqual([told.live.state, told.failed], ['stream', ['token']])
  })
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
