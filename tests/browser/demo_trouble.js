// What a visitor may meet: tokens that have run out, too many calls, no server.
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'

const packed = (text) => Buffer.from(text).toString('base64url')

/** The same token, of an hour ago: signed with the server's own key (RFC 7515). */
function aged(token) {
  const [head, body] = token.split('.')
  const claims = JSON.parse(Buffer.from(body, 'base64url'))
  const old = packed(JSON.stringify({ ...claims, iat: claims.iat - 3600, exp: claims.exp - 3600 }))
  const signature = createHmac('sha256', process.env.JWT_SECRET_KEY).update(`${head}.${old}`)
  return `${head}.${old}.${signature.digest('base64url')}`
}

async function withTokens(demo, change) {
  const key = 'melon-demo-a'
  const tokens = JSON.parse(await demo.page.evaluate((name) => localStorage.getItem(name), key))
  const changed = JSON.stringify({ ...tokens, ...change(tokens) })
  await demo.page.evaluate(([name, text]) => localStorage.setItem(name, text), [key, changed])
}

async function latest(phone, count) {
  const exchanges = await phone.exchanges()
  return exchanges.slice(-count).map(({ path, outcome }) => `${path} ${outcome}`)
}

export async function anOldTokenIsRefreshed(demo) {
  await demo.a.add('Tea') // the last line is a push: no idle pulls are joined
  await demo.a.sync()
  await withTokens(demo, ({ access }) => ({ access: aged(access) }))
  assert.match(await demo.a.sync(), /Synced/)
  const renewal = ['/sync/pull 401', '/auth/refresh 200', '/sync/pull 200']
  assert.deepEqual(await latest(demo.a, 3), renewal)
}

/** As after seven days: both tokens are of no use any more. */
export async function aDeadSessionSignsInAgain(demo) {
  await withTokens(demo, ({ access, refresh }) => ({
    access: aged(access),
    refresh: `${refresh}x`,
  }))
  assert.match(await demo.a.sync(), /Synced/)
  const renewal = ['/auth/refresh 401', '/auth/login 200', '/sync/pull 200']
  assert.deepEqual(await latest(demo.a, 3), renewal)
  await demo.syncBoth()
  await demo.same()
}

/** The server allows a few pulls only (test_demo.py). */
export async function tooManyCallsAreTold(demo) {
  let said = ''
  for (let calls = 0; calls < 20 && !said.startsWith('Too many'); calls++)
    said = await demo.a.sync()
  assert.match(said, /^Too many calls: sync again in \d+ (s|min)\.$/)
  assert.deepEqual(await latest(demo.a, 1), ['/sync/pull 429'])
}

/** The browser fails to read what is stored, once; LokiJS would take it for empty, and wipe it. */
export async function anUnreadableDiskLosesNothing(demo) {
  const { page, a, b } = demo
  const before = await demo.same()
  const isUnsynced = /"_status":"(created|updated|deleted)"/
  for (const phone of [a, b]) await phone.isOnDisk((text) => !isUnsynced.test(text))
  await page.addInitScript(() => {
    if (window.name !== 'fails') return
    const { getAllKeys } = IDBObjectStore.prototype
    IDBObjectStore.prototype.getAllKeys = function () {
      const request = getAllKeys.call(this)
      this.transaction.abort()
      return request
    }
  })
  await page.evaluate(() => void (window.name = 'fails'))
  await page.reload()
  for (const phone of [a, b]) {
    await phone.phone.getByText('could not read what the phone stores. Load the page again.').waitFor()
    await phone.column.getByText('Not read yet.').waitFor()
  }
  assert.match(await a.sync(), /could not read/)
  await page.evaluate(() => void (window.name = ''))
  await page.reload()
  await a.title(before[0].title).waitFor()
  await b.title(before[0].title).waitFor()
  assert.deepEqual(await demo.same(), before)
}

/** The last one: nothing answers after it. */
export async function aServerThatIsDownIsTold(demo) {
  await demo.a.add('Candles')
  process.kill(Number(process.env.MELON_PID), 'SIGTERM')
  await gone()
  assert.match(await demo.a.sync(), /^The server does not answer/)
  await demo.a.mark('Candles').waitFor()
  assert.equal((await demo.a.exchanges()).at(-1).outcome, 'silent')
}

async function gone() {
  for (;;) {
    try {
      await (await fetch(`${process.env.MELON_URL}/healthz`)).text()
    } catch {
      return
    }
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
