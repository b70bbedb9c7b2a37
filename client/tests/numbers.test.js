// Pushes are numbered (contract push 8): a copy that the network delivers late changes nothing.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { assertConverged, phones, withClock } from './support.js'

function numbersOf(phone) {
  const pushes = phone.network.calls.filter(({ path }) => path === '/sync/push')
  return pushes.map(({ headers, body }) => {
    const text = headers['content-encoding'] ? gunzipSync(body) : body
    return JSON.parse(text).pushNumber
  })
}

test('each push has a higher one; the same push again has the same', async () => {
  const [phone] = await phones(1)
  await phone.create('projects', { name: 'Home' })
  phone.network.on('/sync/push', 'lose')
  await phone.sync()
  await phone.create('projects', { name: 'Work' })
  await phone.sync()
  const [first, again, second, ...more] = numbersOf(phone)
  assert.equal(again, first)
  assert.ok(second > first && more.length === 0)
})

test('a late copy does not undo a newer edit', async () => {
  const [phone, other] = await phones(2)
  const id = await phone.create('projects', { name: 'Home' })
  await phone.sync()
  await phone.edit('projects', id, { name: 'Old' })
  await phone.sync()
  const { headers, body } = phone.network.last('/sync/push')
  await phone.edit('projects', id, { name: 'New' })
  await phone.sync()
  const late = await fetch(`${process.env.MELON_URL}/api/v1/sync/push`, {
    method: 'POST',
    headers: { Authorization: headers.authorization, 'Content-Type': 'application/json' },
    body,
  })
  assert.deepEqual([late.status, (await late.json()).code], [409, 'push_outdated'])
  assert.equal((await assertConverged(phone, other)).projects[id].name, 'New')
})

test('a storage that has forgotten the number gives none a second time', async () => {
  const [phone, other] = await phones(2)
  for (const name of ['One', 'Two', 'Three']) {
    await phone.create('projects', { name })
    await phone.sync()
    await phone.storage.remove('melon.push')
  }
  assert.equal(new Set(numbersOf(phone)).size, 3)
  assert.equal(Object.keys((await assertConverged(phone, other)).projects).length, 3)
})

test('… and where the clock was put back, too, it goes on from the server’s', async () => {
  const [phone, other] = await phones(2)
  await phone.create('projects', { name: 'One' })
  await phone.sync()
  await phone.storage.remove('melon.push')
  await phone.create('projects', { name: 'Two' })
  await withClock(-3_600_000, () => phone.sync())
  const [first, early, next] = numbersOf(phone)
  assert.ok(early < first && next > first)
  assert.equal(Object.keys((await assertConverged(phone, other)).projects).length, 2)
})

test('a clock that is put back alone is no matter: the number was kept', async () => {
  const [phone] = await phones(1)
  await phone.create('projects', { name: 'One' })
  await phone.sync()
  await phone.create('projects', { name: 'Two' })
  await withClock(-3_600_000, () => phone.sync())
  const [first, next, ...more] = numbersOf(phone)
  assert.ok(next === first + 1 && more.length === 0)
})

for (const text of ['Infinity', '-3', '1.5', 'soon', '9007199254740991', '9007199254740992']) {
  test(`a storage whose number is ${text} stops no push`, async () => {
    const [phone, other] = await phones(2)
    await phone.create('projects', { name: 'One' })
    await phone.sync()
    await phone.storage.set('melon.push', text)
    await phone.create('projects', { name: 'Two' })
    await phone.sync()
    const [first, second, ...more] = numbersOf(phone)
    assert.ok(Number.isSafeInteger(second) && second > first && more.length === 0)
    assert.equal(Object.keys((await assertConverged(phone, other)).projects).length, 2)
  })
}

for (const newest of ['9', 1.5, -1, Number.MAX_SAFE_INTEGER, null]) {
  test(`a newest number of ${JSON.stringify(newest)} leaves the phone its own`, async () => {
    const [phone] = await phones(1)
    await phone.create('projects', { name: 'One' })
    const body = JSON.stringify({ status: 409, code: 'push_outdated', errors: { pushNumber: newest } })
    phone.network.on('/sync/push', { status: 409, headers: {}, body })
    await phone.sync()
    const [first, second, ...more] = numbersOf(phone)
    assert.ok(Number.isSafeInteger(second) && second > first && second < Number.MAX_SAFE_INTEGER && more.length === 0)
  })
}
