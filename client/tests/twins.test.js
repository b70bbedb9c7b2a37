// Two live phones from one backup: the same records, marks and clock, the same `device_id`, and perhaps
// the same session (contract, Accounts 4). Nothing of either is lost.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SignedOutError } from 'melon-sync'
import { assertConverged, assertFails, Database, expectComplaint, modelClasses, newPhone, phones } from './support.js'

// What one of them made, a device of this name has had (pull 3); the other one makes it, and says so.
expectComplaint("but it doesn't exist locally")

const KEPT = ['melon.device', 'melon.push', 'melon.waiting']
const SESSION = ['melon.session.0', 'melon.session.1']

/** A new phone from a backup of this one: its file, and these of its stored strings. */
async function restoredFrom(phone, keys) {
  const { underlyingAdapter } = phone.database.adapter
  const { loki } = underlyingAdapter._driver
  await new Promise((resolve) => loki.saveDatabase(resolve))
  const adapter = await underlyingAdapter.testClone()
  const twin = await newPhone({ database: new Database({ adapter, modelClasses }) })
  for (const key of keys) {
    const value = await phone.storage.get(key)
    if (value) await twin.storage.set(key, value.replace(phone.network.url, twin.network.url))
  }
  twin.email = phone.email
  return twin
}

/** A phone in the middle of its day: synced, and then an edit, a creation and a deletion offline. */
async function busyPhone() {
  const [phone] = await phones(1)
  const home = await phone.create('projects', { name: 'Home' })
  const gone = await phone.create('projects', { name: 'Gone' })
  await phone.sync()
  await phone.edit('projects', home, { name: 'House' })
  const made = await phone.create('tasks', { title: 'Made offline', project_id: home })
  await phone.remove('projects', gone)
  return { phone, home, made }
}

/** Both go on by themselves, and then both sync, again and again. */
async function assertNothingIsLost(phone, twin, { home, made }) {
  const own = []
  for (const [index, one] of [phone, twin].entries()) {
    own.push(await one.create('tasks', { title: `Of ${index}`, project_id: home }))
  }
  await phone.edit('projects', home, { description: 'Of the first' })
  await twin.edit('tasks', made, { description: 'Of the second' })
  await phone.sync()
  await twin.sync()
  await phone.edit('tasks', own[0], { is_completed: true })
  await twin.edit('projects', home, { name: 'Of the second' })
  const { projects, tasks } = await assertConverged(phone, twin)
  assert.deepEqual(Object.keys(projects), [home])
  assert.deepEqual([projects[home].name, projects[home].description], ['Of the second', 'Of the first'])
  assert.deepEqual(new Set(Object.keys(tasks)), new Set([made, ...own]))
  assert.deepEqual([tasks[made].description, tasks[own[0]].is_completed], ['Of the second', true])
}

test('a backup without the session: signed in again, both go on', async () => {
  const { phone, ...ids } = await busyPhone()
  const twin = await restoredFrom(phone, KEPT)
  await twin.client.login(twin.credentials)
  assert.equal(await twin.storage.get('melon.device'), await phone.storage.get('melon.device'))
  await assertNothingIsLost(phone, twin, ids)
})

test('a backup with the session: the first refresh of the second signs both out, and nothing is lost', async () => {
  const { phone, ...ids } = await busyPhone()
  const twin = await restoredFrom(phone, [...KEPT, ...SESSION])
  for (let refreshes = 1; refreshes <= 2; refreshes += 1) {
    await phone.ageToken() // its direct predecessor would be answered for 30 s more
    await phone.sync()
  }
  await twin.ageToken()
  await assertFails(twin.sync(), SignedOutError)
  for (const one of [phone, twin]) {
    await assertFails(one.sync(), SignedOutError)
    await one.client.login(one.credentials)
  }
  await assertNothingIsLost(phone, twin, ids)
})

test('a backup with the session, and both go on within its access token’s quarter of an hour', async () => {
  const { phone, ...ids } = await busyPhone()
  const twin = await restoredFrom(phone, [...KEPT, ...SESSION])
  await assertNothingIsLost(phone, twin, ids)
})
