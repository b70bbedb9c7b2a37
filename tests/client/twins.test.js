// Two live phones from one backup: the same records, marks and clock, and the same `device_id`, which the
// database keeps (Accounts 4, pull 3, push 3). Nothing of either is lost.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Account, syncPatiently } from './account.js'
import { expectComplaint } from './phone.js'

// What one of them made, a device of this name has had (pull 3); the other one makes it, and says so.
expectComplaint("but it doesn't exist locally")

const DEVICE = { deviceId: 'restored' }

/** A phone with work that is not pushed yet, and one that is restored from its backup. */
async function twins() {
  const account = new Account()
  const phone = await account.phone(DEVICE)
  const home = await phone.create('projects', { name: 'Home' })
  const gone = await phone.create('projects', { name: 'Gone' })
  await phone.sync()
  await phone.edit('projects', home, { name: 'House' })
  const made = await phone.create('tasks', { title: 'Made offline', project_id: home })
  await phone.remove('projects', gone)
  const twin = await account.phone(DEVICE)
  const { underlyingAdapter } = phone.database.adapter
  await new Promise((resolve) => underlyingAdapter._driver.loki.saveDatabase(resolve))
  twin.open(await underlyingAdapter.testClone())
  return { account, phone, twin, home, made }
}

test('what each of them makes, edits and deletes reaches the other', async () => {
  const { account, phone, twin, home, made } = await twins()
  const own = []
  for (const one of [phone, twin]) own.push(await one.create('tasks', { title: 'Own', project_id: home }))
  await phone.edit('projects', home, { description: 'Of the first' })
  await twin.edit('tasks', made, { description: 'Of the second' })
  for (const one of [phone, twin, phone]) await syncPatiently(one)
  await phone.remove('tasks', own[1])
  await twin.edit('projects', home, { name: 'Of the second' })
  const { projects, tasks } = await account.converge()
  assert.deepEqual(Object.keys(projects), [home])
  assert.deepEqual([projects[home].name, projects[home].description], ['Of the second', 'Of the first'])
  assert.deepEqual(new Set(Object.keys(tasks)), new Set([made, own[0]]))
  assert.equal(tasks[made].description, 'Of the second')
})

test('one pushes while the other one does: neither edit is overwritten', async () => {
  const { account, phone, twin, home, made } = await twins()
  await phone.sync()
  await twin.sync()
  await phone.edit('projects', home, { name: 'Of the first' })
  await twin.edit('projects', home, { description: 'Of the second' })
  const late = await phone.create('tasks', { title: 'Meanwhile', project_id: home })
  await syncPatiently(twin, { beforePush: () => phone.sync() })
  const { projects, tasks } = await account.converge()
  assert.deepEqual([projects[home].name, projects[home].description], ['Of the first', 'Of the second'])
  assert.deepEqual(new Set(Object.keys(tasks)), new Set([made, late]))
})
