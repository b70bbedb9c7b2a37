// A database that was synced with something else: all of it comes up, and nothing goes (docs/adopting.md).

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ForeignClockError, NetworkError, OtherAccountError } from 'melon-sync'
import { assertConverged, assertFails, modelClasses, newDatabase, phones, watermelon } from './support.js'

const { setLastPulledAt } = watermelon('/sync/impl')
const DAY_MS = 86_400_000
const OWNER = 'melon_sync_account'

/** As another backend left it: all records are synced, the clock is that one's. */
async function syncedElsewhere(phone, clock = Date.now() - 2 * DAY_MS) {
  for (const table of Object.keys(phone.database.schema.tables)) {
    const found = await phone.database.get(table).query().fetch()
    await phone.database.adapter.batch(
      found.map(({ _raw }) => ['update', table, { ..._raw, _status: 'synced', _changed: '' }]),
    )
    for (const { _raw } of found) Object.assign(_raw, { _status: 'synced', _changed: '' })
  }
  if (clock) await setLastPulledAt(phone.database, clock)
}

async function withTasks(phone, projects = 1, tasks = 1) {
  const names = Array.from({ length: projects }, (_, index) => ({ name: `Home ${index}` }))
  const ids = await phone.createMany('projects', names)
  const titles = Array.from({ length: tasks }, (_, index) => ({
    title: `Paint ${index}`,
    project_id: ids[index % projects],
    updated_at: 7,
  }))
  await phone.createMany('tasks', titles)
  return ids
}

async function countOn(phone) {
  const held = await phone.records()
  return [Object.keys(held.projects).length, Object.keys(held.tasks).length]
}

for (const [when, clock] of [
  ['long ago', Date.now() - 2 * DAY_MS],
  ['a moment ago', Date.now() - 1000],
  ['in the future', Date.now() + 10 * DAY_MS],
]) {
  test(`synced elsewhere ${when}: taken over, and nothing is lost`, async () => {
    const [phone, other] = await phones(2)
    const [project] = await withTasks(phone)
    await syncedElsewhere(phone, clock)
    await assertFails(phone.sync(), OtherAccountError, 'unknown_account')
    const { resent, pushed } = await phone.sync({ adopt: true })
    assert.deepEqual([resent, pushed], [2, 2])
    const held = await assertConverged(phone, other)
    assert.equal(Object.values(held.tasks)[0].updated_at, 7)
    assert.ok(held.projects[project])
  })
}

const MANY = Number(process.env.MELON_ADOPT ?? 20_000) // tried with 120,000, too

test('20,000 records whose children come first: cut off, and gone on with', async () => {
  const database = newDatabase([...modelClasses].reverse())
  const [phone, other] = await phones(2, { retry: { attempts: 2, baseMs: 1 } })
  phone.database = database
  await withTasks(phone, MANY / 5, (MANY * 4) / 5)
  await syncedElsewhere(phone)
  phone.network.on('/sync/push', null, 'cut', 'cut')
  await assertFails(phone.sync({ adopt: true }), NetworkError)
  const { resent, pushed } = await phone.sync() // it is known by now whose it is
  assert.deepEqual([resent, pushed], [0, MANY - 10_000])
  await other.sync()
  assert.deepEqual(await countOn(other), [MANY / 5, (MANY * 4) / 5])
  assert.deepEqual(await countOn(phone), [MANY / 5, (MANY * 4) / 5])
  assert.equal(await phone.client.hasUnsyncedChanges(database), false)
})

test('one that is cut off before it knows what to upload begins again by itself', async () => {
  const [phone, other] = await phones(2, { retry: { attempts: 1 } })
  await withTasks(phone)
  await syncedElsewhere(phone)
  phone.network.on('/sync/pull', 'cut')
  await assertFails(phone.sync({ adopt: true }), NetworkError)
  assert.equal((await phone.sync()).resent, 2)
  assert.equal(Object.keys((await assertConverged(phone, other)).tasks).length, 1)
})

test('two phones of one person: what one has uploaded is not twice, and what the other has deleted goes', async () => {
  const [first, second] = await phones(2)
  const [kept, gone] = await withTasks(first, 2, 2)
  const copies = Object.entries(await first.records()).flatMap(([table, records]) => {
    const collection = second.database.get(table)
    return Object.values(records).map((raw) => collection.prepareCreateFromDirtyRaw({ ...raw }))
  })
  await second.database.write(() => second.database.batch(copies))
  await syncedElsewhere(first)
  await syncedElsewhere(second)
  await second.remove('projects', gone)
  await first.sync({ adopt: true })
  assert.equal((await second.sync({ adopt: true })).resent, 0)
  const held = await assertConverged(first, second)
  assert.deepEqual(Object.keys(held.projects), [kept])
})

test('the clock of an account that was lost (pull 1): told, and taken over when told to', async () => {
  const [phone, other] = await phones(2)
  await withTasks(phone)
  await syncedElsewhere(phone)
  await phone.database.adapter.setLocal(OWNER, (await phone.client.user()).id)
  await assertFails(phone.sync(), ForeignClockError, 'foreign_clock')
  assert.deepEqual(await countOn(phone), [1, 1])
  assert.equal((await phone.sync({ adopt: true })).resent, 2)
  assert.equal(Object.keys((await assertConverged(phone, other)).tasks).length, 1)
})

test('an account that was deleted and registered again gets its records back when told to', async () => {
  const [phone] = await phones(1)
  await withTasks(phone)
  await phone.sync()
  await phone.client.deleteAccount('correct-horse-battery')
  await phone.client.register(phone.credentials)
  await assertFails(phone.sync({ adopt: true }), OtherAccountError, 'other_account')
  assert.equal((await phone.sync({ adopt: 'other_account' })).resent, 2)
  await assertConverged(phone)
  assert.deepEqual(await countOn(phone), [1, 1])
})

test('repair uploads what the server has not had, and drops what it has deleted', async () => {
  const [phone, other] = await phones(2)
  const [kept, gone] = await phone.createMany('projects', [{ name: 'Home' }, { name: 'Gone' }])
  await phone.sync()
  await other.sync()
  await other.remove('projects', gone)
  await other.sync()
  await setLastPulledAt(phone.database, await other.lastPulledAt()) // the deletion was missed
  const alone = await phone.create('projects', { name: 'Only here' })
  await syncedElsewhere(phone, null)
  const { identical, repaired } = await phone.client.verify(phone.database, { repair: true })
  assert.deepEqual([identical, repaired], [true, true])
  const held = await assertConverged(phone, other)
  assert.deepEqual(Object.keys(held.projects).sort(), [kept, alone].sort())
})

test('resend keeps the newer one of a record that both have, as after a restore', async () => {
  const [phone, other] = await phones(2)
  const [newer, older] = await phone.createMany('projects', [
    { name: 'Before', updated_at: 5 },
    { name: 'Before', updated_at: 5 },
  ])
  await phone.sync()
  for (const [id, updated_at] of [[newer, 9], [older, 1]]) await phone.edit('projects', id, { name: 'Here', updated_at })
  await syncedElsewhere(phone, null)
  assert.equal((await phone.client.resend(phone.database)).resent, 1)
  const { projects } = await assertConverged(phone, other)
  assert.deepEqual([projects[newer].name, projects[older].name], ['Here', 'Before'])
})

test('resend uploads what only this device has, and tells how much', async () => {
  const [phone, other] = await phones(2)
  await phone.sync()
  await withTasks(phone)
  await syncedElsewhere(phone, null)
  assert.equal((await phone.sync()).pushed, 0)
  assert.equal((await phone.client.resend(phone.database)).resent, 2)
  assert.equal((await phone.client.resend(phone.database)).resent, 0)
  assert.equal(Object.keys((await assertConverged(phone, other)).tasks).length, 1)
})
