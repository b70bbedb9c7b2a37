// Somebody else answers: a hotel's page, a redirect, half of an answer. Nothing of it counts.

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { test } from 'node:test'
import { MelonError, NetworkError, NotThisServerError, RedirectError } from 'melon-sync'
import { assertConverged, assertFails, newPhone, phones } from './support.js'

const json = (status, body) => ({
  status,
  headers: { 'Content-Type': 'application/json' },
  body: JSON.stringify(body),
})
const ONCE = { retry: { attempts: 1 } }
const HOTEL = { status: 200, headers: { 'Content-Type': 'text/html' }, body: '<html>Sign in to Wi-Fi</html>' }

test('a redirect is not followed: a password goes to no other host', async () => {
  const seen = []
  const elsewhere = createServer((incoming, answer) => {
    seen.push(incoming.url)
    answer.end('{}')
  })
  await new Promise((resolve) => elsewhere.listen(0, '127.0.0.1', resolve))
  const location = `http://127.0.0.1:${elsewhere.address().port}/`
  const phone = await newPhone(ONCE)
  phone.network.on('/auth/login', { status: 307, headers: { Location: location }, body: '' })
  await assertFails(phone.client.login(phone.credentials), RedirectError, 'redirected')
  assert.deepEqual(seen, [])
  elsewhere.close()
})

for (const [where, said] of Object.entries({
  'to another host': { url: 'https://elsewhere.example/api/v1/auth/login' },
  'from https to http': { url: 'http://api.example.com/api/v1/auth/login' },
  'to another page of the host': { url: 'https://api.example.com/welcome?to=/auth/login' },
  'and says so': { redirected: true },
})) {
  test(`where a platform follows a redirect ${where}, what comes back is not believed`, async () => {
    const [known] = await phones(1)
    const fetch = async (url, init) => {
      const answer = await globalThis.fetch(url.replace('https://api.example.com', known.network.url), init)
      return { status: answer.status, url, headers: answer.headers, text: () => answer.text(), ...said }
    }
    const phone = await newPhone({ ...ONCE, url: 'https://api.example.com', fetch })
    await assertFails(phone.client.login(known.credentials), RedirectError, 'redirected')
    assert.equal(await phone.client.user(), null)
  })
}

for (const url of ['https://API.example.com:443/melon/', 'https://müller.example/', 'http://[::1]/']) {
  test(`${url} is the server’s own address, however a platform writes it`, async () => {
    const [known] = await phones(1)
    const fetch = async (asked, init) => {
      const answer = await globalThis.fetch(asked.replace(url, `${known.network.url}/`), init)
      return { status: answer.status, url: new URL(asked).href, headers: answer.headers, text: () => answer.text() }
    }
    const phone = await newPhone({ ...ONCE, url, fetch })
    await phone.client.login(known.credentials)
    await phone.sync()
  })
}

const TOKENS = { access_token: 'a', refresh_token: 'r', token_type: 'Bearer', expires_in: 900 }
const USER = { id: 'u', email: 'a@example.com' }
for (const [what, answer] of Object.entries({
  'a page': HOTEL,
  nothing: json(200, {}),
  'no user': json(200, TOKENS),
  'empty tokens': json(200, { ...TOKENS, refresh_token: '', user: USER }),
  'another status': json(203, { ...TOKENS, user: USER }),
  'no content': { status: 204 },
})) {
  test(`a sign-in that is answered with ${what} signs nobody in`, async () => {
    const phone = await newPhone(ONCE)
    phone.network.on('/auth/login', answer)
    await assertFails(phone.client.login(phone.credentials), NotThisServerError, 'bad_answer')
    assert.equal(await phone.client.user(), null)
  })
}

test('a refresh that is answered by somebody else leaves the session as it is', async () => {
  const [phone] = await phones(1, ONCE)
  await phone.ageToken()
  phone.network.on('/auth/refresh', HOTEL, json(200, {}), HOTEL, HOTEL)
  await assertFails(phone.sync(), NotThisServerError)
  await phone.sync()
})

for (const [what, answer] of Object.entries({
  'a page': HOTEL,
  nothing: json(200, {}),
  'a change of no table': json(200, { changes: { projects: null }, timestamp: 5 }),
  'a record without an id': json(200, {
    changes: { projects: { created: [{ name: 'x' }], updated: [], deleted: [] } },
    timestamp: 5,
  }),
  'no clock': json(200, { changes: {}, timestamp: 0 }),
})) {
  test(`a pull that is answered with ${what} changes nothing`, async () => {
    const [phone] = await phones(1, ONCE)
    await phone.create('projects', { name: 'Home' })
    phone.network.on('/sync/pull', answer)
    await assertFails(phone.sync(), NotThisServerError, 'bad_answer')
    assert.equal(await phone.lastPulledAt(), null)
    await assertConverged(phone)
  })
}

for (const [what, answer] of Object.entries({
  'a page': HOTEL,
  nothing: json(200, {}),
  'another status': json(202, { timestamp: 5 }),
  'no lists': json(200, { timestamp: null, experimentalRejectedIds: { projects: 'all' } }),
})) {
  test(`a push that is answered with ${what} is not taken for stored`, async () => {
    const [phone, other] = await phones(2, ONCE)
    await phone.create('projects', { name: 'Home' })
    phone.network.on('/sync/push', answer)
    await assertFails(phone.sync(), NotThisServerError, 'bad_answer')
    assert.equal(await phone.client.hasUnsyncedChanges(phone.database), true)
    assert.equal(Object.keys((await assertConverged(phone, other)).projects).length, 1)
  })
}

test('other calls: a page is no answer', async () => {
  const [phone] = await phones(1, ONCE)
  for (const [path, call] of [
    ['/users/me', () => phone.client.me()],
    ['/auth/sessions', () => phone.client.sessions()],
    ['/users/me/export', () => phone.client.exportData()],
    ['/users/me/password', () => phone.client.changePassword({ current_password: 'a', new_password: 'b' })],
    ['/auth/password/forgot', () => phone.client.forgotPassword('a@example.com')],
    ['/auth/logout-all', () => phone.client.logoutAll()],
    ['/users/me', () => phone.client.deleteAccount('x')],
  ]) {
    phone.network.on(path, HOTEL)
    await assertFails(call(), NotThisServerError, 'bad_answer')
  }
  assert.ok(await phone.client.user())
  phone.network.on('/auth/logout', HOTEL)
  assert.deepEqual(await phone.client.logout(), { serverTold: false })
})

test('a body that was packed and came spoilt goes plain, from then on', async () => {
  const [phone, other] = await phones(2)
  const spoilt = json(400, { code: 'malformed_json', status: 400, title: 'Bad Request' })
  await phone.create('projects', { name: 'x'.repeat(200), description: 'y'.repeat(2_000) })
  phone.network.on('/sync/push', spoilt)
  await phone.sync()
  await phone.create('projects', { name: 'x'.repeat(200), description: 'y'.repeat(2_000) })
  await phone.sync()
  const pushes = phone.network.calls.filter(({ path }) => path === '/sync/push')
  assert.deepEqual(pushes.map(({ headers }) => headers['content-encoding']), ['gzip', undefined, undefined])
  assert.equal(Object.keys((await assertConverged(phone, other)).projects).length, 2)
})

const early = (answer) => JSON.stringify(answer).slice(0, -2)
for (const [what, act, code] of [
  ['a JSON that ends early', { alter: early }, 'bad_answer'],
  ['half an answer', 'halve', 'network_failed'],
  ['a page that says it is packed', { ...HOTEL, headers: { 'Content-Encoding': 'gzip' } }, 'network_failed'],
]) {
  test(`${what}: nothing of it counts, in a pull, a push or a refresh`, async () => {
    const [phone, other] = await phones(2, ONCE)
    await other.createMany('projects', [{ name: 'One' }, { name: 'Two' }])
    await other.sync()
    await phone.create('projects', { name: 'Home' })
    phone.network.on('/sync/pull', act)
    phone.network.on('/sync/push', act)
    await assertFails(phone.sync(), NetworkError, code)
    assert.equal(await phone.lastPulledAt(), null)
    await assertFails(phone.sync(), NetworkError, code)
    assert.equal(await phone.client.hasUnsyncedChanges(phone.database), true)
    await phone.ageToken()
    phone.network.on('/auth/refresh', act, act, act, act)
    await assertFails(phone.sync(), NetworkError, code)
    assert.equal(Object.keys((await assertConverged(phone, other)).projects).length, 3)
    assert.deepEqual(phone.eventTypes().filter((type) => type !== 'retry'), ['signed_in'])
  })
}

for (const [what, act, kind] of [
  ['a page', HOTEL, NotThisServerError],
  ['a redirect to its page', { status: 302, headers: { Location: '/welcome' }, body: '' }, RedirectError],
  ['a page of another kind', { status: 511, headers: {}, body: '<h1>Sign in' }, MelonError],
  ['JSON of its own', json(200, { ok: true, code: 'token_revoked' }), NotThisServerError],
]) {
  test(`a hotel answers everything with ${what}: whoever works in it has all afterwards`, async () => {
    const [phone, other] = await phones(2, ONCE)
    const id = await phone.create('projects', { name: 'Home' })
    await phone.sync()
    phone.network.always(act)
    await phone.edit('projects', id, { name: 'Edited in the hotel' })
    await assertFails(phone.sync(), kind)
    await phone.ageToken()
    await assertFails(phone.sync(), kind)
    await assertFails(phone.client.me(), kind)
    assert.ok(await phone.client.user())
    phone.network.calm()
    const { projects } = await assertConverged(phone, other)
    assert.equal(projects[id].name, 'Edited in the hotel')
  })
}
