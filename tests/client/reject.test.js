// SYNC_CONFLICT_POLICY=reject: every conflict is a 409, and the client's next sync resolves it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Account, assertRefused } from './account.js'

test('another phone was faster: 409, and the next sync merges and pushes (push 3)', async () => {
  const account = new Account()
  const { a, b, project } = await account.twoPhones()
  await a.edit('projects', project, { name: 'A' })
  const faster = () => b.editAndSync('projects', project, { description: 'B' })
  await assertRefused(a.sync({ beforePush: faster }), 409, 'sync_conflict')
  assert.equal(await a.hasUnsyncedChanges(), true)
  await a.sync()
  const { projects } = await account.converge()
  assert.equal(projects[project].name, 'A')
  assert.equal(projects[project].description, 'B')
})

test('a phone that deletes what another one edited asks again, and its deletion stands (push 3)', async () => {
  const account = new Account()
  const { a, b, project } = await account.twoPhones()
  await a.remove('projects', project)
  const faster = () => b.editAndSync('projects', project, { name: 'B' })
  await assertRefused(a.sync({ beforePush: faster }), 409, 'sync_conflict')
  await a.sync()
  const { projects, tasks } = await account.converge()
  assert.deepEqual([projects, tasks], [{}, {}])
})
