// One database, several people: their data never meet.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OtherAccountError, SignedOutError } from 'melon-sync'
import { assertFails, expectComplaint, newDatabase, newPhone, phones } from './support.js'

async function stranger(phone) {
  const other = await newPhone()
  await other.client.register(other.credentials)
  await phone.client.logout()
  await phone.client.login(other.credentials)
  return other
}

test('somebody else signs in: nothing is sent or pulled before the database is reset', async () => {
  const [phone] = await phones(1)
  await phone.create('projects', { name: 'Ada’s' })
  await phone.sync()
  await phone.create('projects', { name: 'Ada’s, not pushed' })
  const other = await stranger(phone)
  const calls = phone.network.calls.length
  await assertFails(phone.sync(), OtherAccountError, 'other_account')
  await assertFails(phone.sync({ adopt: true }), OtherAccountError, 'other_account')
  assert.equal(phone.network.calls.length, calls)
  await phone.reset()
  await phone.sync()
  assert.deepEqual((await phone.records()).projects, {})
  assert.equal((await other.sync()).pulled, 0)
})

test('the same person signs in again: the database is theirs, and goes on from where it was', async () => {
  const [phone] = await phones(1)
  await phone.create('projects', { name: 'Home' })
  await phone.sync()
  await phone.client.logout()
  await phone.client.login(phone.credentials)
  const { isFirst, pulled } = await phone.sync()
  assert.deepEqual([isFirst, pulled], [false, 0])
})

test('work from before the first sign-in becomes the first account’s', async () => {
  const phone = await newPhone()
  await phone.create('projects', { name: 'Made offline' })
  await assertFails(phone.sync(), SignedOutError, 'signed_out')
  await phone.client.register(phone.credentials)
  assert.equal((await phone.sync()).pushed, 1)
})

test('a sync that failed before it pulled leaves an empty database to anybody', async () => {
  const [phone] = await phones(1, { retry: { attempts: 1 } })
  phone.network.on('/sync/pull', 'cut')
  await assert.rejects(phone.sync())
  await stranger(phone)
  await phone.sync()
})

test('… but not one with records', async () => {
  const [phone] = await phones(1, { retry: { attempts: 1 } })
  await phone.create('projects', { name: 'Ada’s' })
  phone.network.on('/sync/pull', 'cut')
  await assert.rejects(phone.sync())
  await stranger(phone)
  await assertFails(phone.sync(), OtherAccountError, 'other_account')
})

test('a database that something else has synced is taken over only when told to', async () => {
  const [phone] = await phones(1)
  await phone.create('projects', { name: 'Home' })
  await phone.sync()
  await phone.database.adapter.removeLocal('melon_sync_account')
  await assertFails(phone.sync(), OtherAccountError, 'unknown_account')
  assert.equal((await phone.sync({ adopt: true })).pulled, 0)
  await phone.sync()
})

test('somebody else signs in between pull and push: the push is not made', async () => {
  const [phone] = await phones(1)
  await phone.create('projects', { name: 'Ada’s' })
  let other
  phone.network.on('/sync/pull', async () => {
    other = await stranger(phone)
  })
  await assertFails(phone.sync(), SignedOutError, 'signed_out')
  assert.equal(phone.network.count('/sync/push'), 0)
  assert.equal((await other.sync()).pulled, 0)
  assert.equal(await phone.client.hasUnsyncedChanges(phone.database), true)
})

test('two databases of one client sync one after the other, and miss nothing of each other', async () => {
  // the server takes both for one device that has had it
  expectComplaint('Will create record instead')
  const [phone] = await phones(1)
  const second = newDatabase()
  const twin = Object.assign(Object.create(phone), { database: second })
  for (let round = 0; round < 3; round += 1) {
    await phone.create('projects', { name: `First ${round}` })
    await twin.create('projects', { name: `Second ${round}` })
    await Promise.all([phone.sync(), twin.client.sync(second)])
  }
  await phone.sync()
  await twin.sync()
  await phone.sync()
  assert.equal(Object.keys((await phone.records()).projects).length, 6)
  assert.deepEqual(await twin.records(), await phone.records())
})

test('what somebody made here and never synced does not go to the next account', async () => {
  const [phone] = await phones(1)
  await phone.create('projects', { name: 'Ada’s, never synced' })
  const other = await stranger(phone)
  const calls = phone.network.calls.length
  await assertFails(phone.sync(), OtherAccountError, 'unknown_account')
  assert.equal(phone.network.calls.length, calls)
  await phone.reset()
  await phone.create('projects', { name: 'the other’s' })
  await phone.sync({ adopt: true })
  assert.equal((await other.sync()).pulled, 1)
})

test('who has synced is in nobody’s way: the next one may begin offline', async () => {
  const [phone] = await phones(1)
  await phone.sync()
  const other = await stranger(phone)
  await phone.reset()
  await phone.create('projects', { name: 'the other’s' })
  assert.equal((await phone.sync()).pushed, 1)
  assert.equal((await other.sync()).pulled, 1)
})
