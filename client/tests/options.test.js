// What the README says of the options, as far as no other file is about it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AbortError, createMelonClient, MelonError, memoryStorage, NetworkError, ValidationError } from 'melon-sync'
import { sleep } from '../dist/esm/abort.js'
import { assertFails, newPhone, phones } from './support.js'

const bodyOf = (phone, path) => JSON.parse(phone.network.last(path).body)

test('a device id that is given is sent, and none is made', async () => {
  const phone = await newPhone({ deviceId: 'phone-7', deviceName: 'Ada’s phone' })
  await phone.client.register(phone.credentials)
  const { device_id: id, device_name: name } = bodyOf(phone, '/auth/register')
  assert.deepEqual([id, name], ['phone-7', 'Ada’s phone'])
  assert.equal(await phone.storage.get('melon.device'), undefined)
  await phone.sync()
})

test('one that is none is named by the server', async () => {
  const phone = await newPhone({ deviceId: 'no id' })
  const error = await assertFails(phone.client.register(phone.credentials), ValidationError, 'validation_failed')
  assert.deepEqual(Object.keys(error.errors), ['device_id'])
})

test('without one it is made once, and stays when somebody signs out', async () => {
  const [phone] = await phones(1)
  const { device_id: id } = bodyOf(phone, '/auth/register')
  await phone.client.logout()
  await phone.client.login(phone.credentials)
  assert.equal(bodyOf(phone, '/auth/login').device_id, id)
  assert.equal(await phone.storage.get('melon.device'), id)
})

for (const pageSize of [0, 100_001]) {
  test(`pages of ${pageSize} records are refused by name, and nothing is taken in`, async () => {
    const [phone] = await phones(1)
    const error = await assertFails(phone.sync({ pageSize }), ValidationError, 'validation_failed')
    assert.deepEqual(Object.keys(error.errors), ['limit'])
    assert.equal(await phone.lastPulledAt(), null)
  })
}

test('a slash at the end of the url is no matter', async () => {
  const [known] = await phones(1)
  const phone = await newPhone({ url: `${known.network.url}//` })
  await phone.client.login(known.credentials)
  assert.equal((await phone.sync()).isFirst, true)
})

test('the global fetch is looked up at each call', async () => {
  const [phone] = await phones(1)
  const { fetch } = globalThis
  globalThis.fetch = () => Promise.reject(new TypeError('wrapped'))
  try {
    const error = await assertFails(phone.client.register(phone.credentials), NetworkError, 'network_failed')
    assert.equal(error.cause.message, 'wrapped')
  } finally {
    globalThis.fetch = fetch
  }
})

test('a part of `retry` that is undefined is the default, and no call is tried for ever', async () => {
  const retry = { attempts: undefined, baseMs: 1, maxMs: undefined }
  const [phone] = await phones(1, { retry })
  phone.network.on('/sync/pull', ...Array(9).fill('cut'))
  await assertFails(phone.sync(), NetworkError, 'network_failed')
  assert.equal(phone.network.count('/sync/pull'), 5)
})

for (const url of ['api.example.com', 'ftp://api.example.com', 'https://', 'localhost:8000']) {
  test(`a url that is ${url} is told at once`, async () => {
    const make = async () => createMelonClient({ url, storage: memoryStorage() })
    const error = await assertFails(make(), MelonError, 'bad_option')
    assert.match(error.message, /`url`/)
  })
}

test('no timer is so long that it ends at once', async () => {
  const [phone] = await phones(1, { timeoutMs: Infinity })
  await phone.sync()
  const stop = new AbortController()
  setTimeout(() => stop.abort(), 50)
  await assertFails(sleep(2 ** 40, stop.signal), AbortError)
})
