// An app whose records were synced with another backend before (docs/adopting.md), with the stock client.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Account, assertRefused } from './account.js'
import { DAY_MS, markSynced, printedRecipe } from './adopting.js'

/** A phone whose records another backend has had; it was pulled from so long ago. */
async function syncedElsewhere(agoMs) {
  const account = new Account()
  const phone = await account.phone()
  const project = await phone.create('projects', { name: 'Home' })
  await phone.create('tasks', { title: 'Paint', project_id: project })
  await markSynced(phone, Date.now() - agoMs)
  return { account, phone, project }
}

test('the server says so (pull 1), and nothing is lost on the phone', async () => {
  const { phone } = await syncedElsewhere(2 * DAY_MS)
  await assertRefused(phone.sync(), 409, 'foreign_clock')
  assert.equal(await phone.database.get('tasks').query().fetchCount(), 1)
})

test('the recipe uploads all that the phone holds, a second time, too', async () => {
  const forgetOldBackend = await printedRecipe()
  const { account, phone, project } = await syncedElsewhere(2 * DAY_MS)
  const before = (await phone.database.get('projects').find(project))._raw.updated_at
  await forgetOldBackend(phone.database)
  await forgetOldBackend(phone.database)
  await phone.sync()
  const held = await account.converge()
  assert.deepEqual([Object.keys(held.projects).length, Object.keys(held.tasks).length], [1, 1])
  assert.equal(held.projects[project].updated_at, before)
})

test('also within the day in which the server cannot tell', async () => {
  const forgetOldBackend = await printedRecipe()
  const { account, phone } = await syncedElsewhere(1000)
  await forgetOldBackend(phone.database)
  await phone.sync()
  assert.equal(Object.keys((await account.converge()).tasks).length, 1)
})
