// Other phones are faster. Runs against either conflict policy (MELON_POLICY).

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConflictError } from 'melon-sync'
import { assertConverged, assertFails, phones } from './support.js'

const PUSH = '/sync/push'
const REFUSES = process.env.MELON_POLICY === 'reject'
const refusing = { skip: !REFUSES && 'needs SYNC_CONFLICT_POLICY=reject' }

async function shared() {
  const [a, b] = await phones(2)
  const project = await a.create('projects', { name: 'Home' })
  await a.sync()
  await b.sync()
  const editAndSync = async (name) => {
    await b.edit('projects', project, { name })
    await b.sync()
  }
  return { a, b, project, editAndSync }
}

test('both edit a record: both edits are kept, without the app’s help', async () => {
  const { a, b, project, editAndSync } = await shared()
  await a.edit('projects', project, { description: 'by a' })
  a.network.on(PUSH, () => editAndSync('By b'))
  const { rounds, pushed } = await a.sync()
  assert.deepEqual([rounds, pushed], [REFUSES ? 2 : 1, 1])
  const { name, description } = (await assertConverged(a, b)).projects[project]
  assert.deepEqual([name, description], ['By b', 'by a'])
})

test('the app’s own resolver has the word', refusing, async () => {
  const { a, b, project, editAndSync } = await shared()
  await a.edit('projects', project, { name: 'By a' })
  a.network.on(PUSH, () => editAndSync('By b'))
  const conflictResolver = (_table, local, remote, resolved) => ({
    ...resolved,
    name: `${local.name} and ${remote.name}`,
  })
  await a.sync({ conflictResolver })
  assert.equal((await assertConverged(a, b)).projects[project].name, 'By a and By b')
})

test('others are faster four times: the fifth push is in', refusing, async () => {
  const { a, b, project, editAndSync } = await shared()
  await a.edit('projects', project, { description: 'by a' })
  a.network.on(PUSH, ...[1, 2, 3, 4].map((turn) => () => editAndSync(`By b ${turn}`)))
  assert.equal((await a.sync()).rounds, 5)
  assert.equal((await assertConverged(a, b)).projects[project].description, 'by a')
})

test('others are always faster: a ConflictError names the record, and the edit stays', refusing, async () => {
  const { a, b, project, editAndSync } = await shared()
  await a.edit('projects', project, { description: 'by a' })
  a.network.on(PUSH, ...[1, 2, 3, 4, 5].map((turn) => () => editAndSync(`By b ${turn}`)))
  const error = await assertFails(a.sync(), ConflictError, 'sync_conflict')
  assert.deepEqual(error.errors, { projects: [project] })
  assert.equal(await a.client.hasUnsyncedChanges(a.database), true)
  await assertConverged(a, b)
})

test('a conflict in a partial push is merged by a second round', refusing, async () => {
  const { a, b, project, editAndSync } = await shared()
  await a.edit('projects', project, { description: 'by a' })
  await a.create('projects', { name: 'New' })
  a.network.on(PUSH, () => editAndSync('By b'))
  const { rejected, rounds, pushed } = await a.sync({ partial: true })
  assert.deepEqual([rejected, rounds, pushed], [[], 2, 2])
  await assertConverged(a, b)
})

test('a creation pushed again after a lost answer, and edited meanwhile: 409, then merged', async () => {
  const [a, b] = await phones(2)
  await a.sync()
  const project = await a.create('projects', { name: 'Draft' })
  const meanwhile = async () => {
    await b.sync()
    await b.edit('projects', project, { description: 'by b' })
    await b.sync()
  }
  a.network.on(PUSH, 'lose', meanwhile)
  const { rounds } = await a.sync()
  assert.equal(rounds, 2)
  assert.equal((await assertConverged(a, b)).projects[project].description, 'by b')
})
