// Two tabs of one browser, that is one session and one IndexedDB, sync at once; one is closed between a push
// and its mark, and one signs out while it saves.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { createServer, request } from 'node:http'
import { createRequire } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { launch } from './browser.js'

const ROUNDS = 6
const TARGET = new URL(process.env.MELON_URL)
const path = (name) => fileURLToPath(new URL(name, import.meta.url))

async function bundled() {
  const vite = createRequire(path('../../demo/package.json')).resolve('vite')
  const { build } = await import(pathToFileURL(vite))
  const [{ output }] = await build({
    configFile: false,
    logLevel: 'error',
    define: { 'process.env.NODE_ENV': '"development"', global: 'globalThis' },
    resolve: { alias: { '@nozbe/watermelondb': path('../../client/node_modules/@nozbe/watermelondb') } },
    build: { write: false, minify: false, lib: { entry: path('tabs_app.js'), formats: ['iife'], name: 'tab' } },
  })
  return output[0].code
}

// --- One origin for the page and the API, which notes the pushes -----------------------------------

const PAGES = {
  '/': { type: 'text/html', text: '<script src="/app.js"></script>' },
  '/app.js': { type: 'text/javascript', text: await bundled() },
}
const pushes = []
let beforeAnswer // of the next push, whose answer is lost then

const server = createServer(async (incoming, answer) => {
  const page = PAGES[incoming.url]
  if (page) return answer.writeHead(200, { 'Content-Type': page.type }).end(page.text)
  if (!incoming.url.startsWith('/api/')) return answer.writeHead(404).end()
  const isPush = incoming.url.endsWith('/sync/push')
  const body = await whole(incoming)
  if (isPush) pushes.push(JSON.parse(incoming.headers['content-encoding'] ? gunzipSync(body) : body))
  const { status, headers, text } = await passOn(incoming, body)
  if (isPush && beforeAnswer) {
    await beforeAnswer()
    return answer.destroy()
  }
  return answer.writeHead(status, headers).end(text)
})

function passOn({ method, url, headers }, body) {
  return new Promise((resolve, reject) => {
    const call = request({ host: TARGET.hostname, port: TARGET.port, method, path: url, headers }, async (found) => {
      const { 'transfer-encoding': _, ...kept } = found.headers
      resolve({ status: found.statusCode, headers: kept, text: await whole(found) })
    })
    call.on('error', reject)
    call.end(body)
  })
}

async function whole(stream) {
  const parts = []
  for await (const part of stream) parts.push(part)
  return Buffer.concat(parts)
}

// --- The story -------------------------------------------------------------------------------------

await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
const origin = `http://127.0.0.1:${server.address().port}`
const person = { email: `${randomUUID()}@example.com`, password: 'correct-horse-battery' }
const browser = await launch()

async function tab(context) {
  const page = await context.newPage()
  page.on('pageerror', (error) => console.error(error.stack))
  await page.goto(origin)
  const call = (name, ...args) => page.evaluate(([name, args]) => window.app[name](...args), [name, args])
  const signIn = (how) => page.evaluate(([how, person]) => window.app.client[how](person), [how, person])
  const saved = () => page.waitForFunction(() => window.app.isSaved())
  return { page, call, signIn, saved }
}

try {
  const context = await browser.newContext()
  const first = await tab(context)
  await first.signIn('register')
  await first.call('sync')
  await first.saved()
  const second = await tab(context) // signed in with it
  const each = await Promise.all([first, second].map((one) => one.call('numbers', 100)))
  assert.equal(new Set(each.flat()).size, 200)
  const made = []
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const one of [first, second]) made.push(await one.call('create', `project ${made.length}`))
    await Promise.all([first.call('sync'), second.call('sync')])
  }
  const numbers = pushes.map(({ pushNumber }) => pushNumber)
  assert.equal(new Set(numbers).size, numbers.length)

  await first.page.close()
  made.push(await second.call('create', 'made before the tab is closed'))
  await second.saved()
  beforeAnswer = () => second.page.close()
  await assert.rejects(second.call('sync'), /closed/)
  beforeAnswer = undefined
  const third = await tab(context)
  assert.equal(await third.call('hasUnsynced'), true)
  await third.call('sync')
  const [lost, again] = pushes.slice(-2)
  assert.ok(again.pushNumber > lost.pushNumber)

  const other = await tab(await browser.newContext())
  await other.signIn('login')
  await other.call('sync')
  const records = await other.call('records')
  assert.deepEqual(records.map(([id]) => id), made.sort())
  assert.deepEqual(await third.call('records'), records)

  for (let round = 0; round < ROUNDS; round += 1) {
    await third.call('signOut')
    assert.deepEqual(await third.call('records'), [])
    await third.signIn('login')
    await third.call('sync')
    assert.deepEqual(await third.call('records'), records)
  }
} finally {
  await browser.close()
  server.close()
}
console.log('as the README says')
