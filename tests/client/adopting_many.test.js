// The recipe of docs/adopting.md with as many records as an app of some years has.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Account } from './account.js'
import { DAY_MS, markSynced, printedRecipe } from './adopting.js'

test('20,000 records are uploaded by it, and counted on both sides', async () => {
  const forgetOldBackend = await printedRecipe()
  const account = new Account()
  const phone = await account.phone()
  const projects = Array.from({ length: 1_000 }, (_, n) => ['projects', { id: `p${n}`, name: `Project ${n}` }])
  const tasks = Array.from({ length: 19_000 }, (_, n) => [
    'tasks',
    { id: `t${n}`, title: `Task ${n}`, project_id: `p${n % 1_000}` },
  ])
  await phone.createAll([...projects, ...tasks])
  await markSynced(phone, Date.now() - 2 * DAY_MS)
  await forgetOldBackend(phone.database)
  await phone.sync()
  const fresh = await account.phone()
  await fresh.sync()
  for (const one of [phone, fresh]) {
    const counts = ['projects', 'tasks'].map((table) => one.database.get(table).query().fetchCount())
    assert.deepEqual(await Promise.all(counts), [1_000, 19_000])
  }
  assert.equal(await phone.hasUnsyncedChanges(), false)
})
