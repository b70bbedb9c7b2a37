// One database, several people: their data never meet.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memoryStorage, OtherAccountError, SignedOutError } from 'melon-sync'
import { Waiting } from '../dist/esm/waiting.js'
import { assertConverged, assertFails, expectComplaint, newDatabase, newPhone, PASSWORD, phones } from './support.js'

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
  const { resent, pushed } = await phone.sync({ adopt: true })
  assert.deepEqual([resent, pushed], [0, 0])
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

// --- Another account signs in while a call is on its way -------------------------------------------

const expired = { status: 401, headers: {}, body: '{"status":401,"code":"token_expired"}' }
const busy = { status: 503, headers: { 'Retry-After': '0' }, body: '{"status":503,"code":"unavailable"}' }

for (const [what, path, call] of [
  ['a logout everywhere', '/auth/logout-all', (client) => client.logoutAll()],
  ['a change of the profile', '/users/me', (client) => client.updateProfile({ name: 'Ada' })],
  ['a deletion', '/users/me', (client) => client.deleteAccount(PASSWORD)],
  ['a new password', '/users/me/password', (client) => client.changePassword({ current_password: PASSWORD, new_password: `${PASSWORD}-2` })],
]) {
  for (const [how, answer] of [['refused', expired], ['put off', busy]]) {
    test(`${what} that is ${how} is not tried again as another account`, async () => {
      const [phone] = await phones(1)
      let other
      const signIn = async () => {
        other = await stranger(phone)
      }
      phone.network.on(path, { ...answer, before: signIn })
      await assertFails(call(phone.client), SignedOutError, 'signed_out')
      assert.equal(phone.network.count(path), 1)
      assert.equal((await phone.client.me()).email, other.email)
      assert.equal((await other.client.me()).name, null)
    })
  }
}

test('a logout everywhere whose answer is late does not sign out who has signed in meanwhile', async () => {
  const [phone] = await phones(1)
  phone.network.on('/auth/logout-all', { late: () => stranger(phone) })
  await phone.client.logoutAll()
  await phone.client.me()
  assert.deepEqual(phone.eventTypes(), ['signed_in', 'signed_out', 'signed_in'])
})

test('… nor ends a refresh of theirs', async () => {
  const [phone] = await phones(1)
  let theirs
  const late = async () => {
    await stranger(phone)
    await phone.ageToken()
    phone.network.on('/auth/refresh', () => new Promise((go) => setTimeout(go, 100)))
    theirs = phone.client.me()
    theirs.catch(() => undefined)
    while (phone.network.count('/auth/refresh') === 0) await new Promise((go) => setTimeout(go, 5))
  }
  phone.network.on('/auth/logout-all', { late })
  await phone.client.logoutAll()
  assert.equal((await theirs).id, (await phone.client.user()).id)
})

test('a sync that waits for its turn takes nothing over for another account', async () => {
  const [phone] = await phones(1)
  await phone.create('projects', { name: 'Ada’s' })
  let other, waiting
  phone.network.on('/sync/pull', async () => {
    waiting = phone.sync({ adopt: 'other_account' })
    waiting.catch(() => undefined)
    await phone.storage.get('melon.device') // it stands in line
    other = await stranger(phone)
  })
  await assertFails(phone.sync(), SignedOutError, 'signed_out')
  await assertFails(waiting, SignedOutError, 'signed_out')
  assert.equal((await other.sync()).pulled, 0)
  await assertFails(phone.sync(), OtherAccountError, 'other_account')
})

test('a verify is one account’s, and repairs nothing for another', async () => {
  const [phone] = await phones(1)
  await phone.create('projects', { name: 'Ada’s' })
  let other
  phone.network.on('/sync/push', { late: async () => (other = await stranger(phone)) })
  const verify = phone.client.verify(phone.database, { repair: true, adopt: 'other_account' })
  await assertFails(verify, SignedOutError, 'signed_out')
  assert.equal((await other.sync()).pulled, 0)
})

test('a database that is reset once it was found to be theirs takes nothing in', async () => {
  const [phone] = await phones(1)
  await phone.create('projects', { name: 'Ada’s' })
  await phone.sync()
  const { adapter } = phone.database
  const { getLocal } = adapter
  let resets = 0
  adapter.getLocal = async (key) => {
    const found = await getLocal.call(adapter, key)
    if (key === 'melon_sync_adopting' && resets++ === 0) await phone.reset() // the claim is behind it
    return found
  }
  await assertFails(phone.sync(), OtherAccountError, 'unknown_account')
  assert.deepEqual([await phone.lastPulledAt(), (await phone.records()).projects], [null, {}])
  assert.equal((await phone.sync()).pulled, 1)
})

test('a database that is reset while its pull is under way takes nothing in', async () => {
  const [phone] = await phones(1)
  await phone.create('projects', { name: 'Ada’s' })
  await phone.sync()
  await phone.reset()
  phone.network.on('/sync/pull', { late: () => phone.reset() })
  await assert.rejects(phone.sync(), /database was reset/)
  assert.deepEqual([await phone.lastPulledAt(), (await phone.records()).projects], [null, {}])
  assert.equal((await phone.sync()).pulled, 1)
})

test('the answer of an account that has signed out meanwhile stays in its own database', async () => {
  const [phone] = await phones(1)
  await phone.create('projects', { name: 'Ada’s' })
  await phone.sync()
  await phone.create('projects', { name: 'Ada’s, not pushed' })
  let other
  phone.network.on('/sync/pull', { late: async () => (other = await stranger(phone)) })
  await assertFails(phone.sync(), SignedOutError, 'signed_out')
  assert.equal(phone.network.count('/sync/push'), 1)
  await assertFails(phone.sync(), OtherAccountError, 'other_account')
  assert.equal((await other.sync()).pulled, 0)
})

test('… and comes into no other account’s, on a database that was reset for it', async () => {
  const [phone, tablet] = await phones(2)
  await phone.sync()
  await tablet.create('projects', { name: 'Ada’s' })
  await tablet.sync()
  phone.network.on('/sync/pull', {
    late: async () => {
      await stranger(phone)
      await phone.reset()
    },
  })
  await assert.rejects(phone.sync(), /database was reset/)
  assert.equal((await phone.sync()).pulled, 0)
  assert.deepEqual((await phone.records()).projects, {})
})

test('two clients sync one database at once, one after the other', async () => {
  const [phone, other] = await phones(2)
  await other.create('projects', { name: 'One' })
  await other.sync()
  await phone.create('projects', { name: 'Two' })
  const second = phone.newClient({ storage: phone.storage })
  await Promise.all([phone.sync(), second.sync(phone.database), phone.sync(), second.sync(phone.database)])
  assert.equal(phone.network.count('/sync/push'), 1)
  assert.equal(Object.keys((await assertConverged(phone, other)).projects).length, 2)
})

test('who signs in while another one’s first sync is under way is not forgotten', async () => {
  const kept = memoryStorage()
  const slow = { ...kept, get: async (key) => kept.get(key), set: async (...pair) => kept.set(...pair) }
  const waiting = new Waiting(slow)
  await waiting.add('first')
  await Promise.all([waiting.remove('first'), waiting.add('second'), waiting.add('third')])
  assert.equal(await kept.get('melon.waiting'), 'second third')
  await Promise.all([waiting.remove('second'), waiting.remove('third')])
  assert.equal(await waiting.hasOthers('anybody'), false)
})
