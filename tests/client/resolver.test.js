// A conflictResolver of the app's own; runs under either conflict policy.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Account, syncPatiently } from './account.js'

test('what a conflictResolver decides is what every phone gets (push 3)', async () => {
  const account = new Account()
  const { a, b, project } = await account.twoPhones()
  await a.edit('projects', project, { name: 'A' })
  await b.edit('projects', project, { name: 'B' })
  await b.sync()
  const conflictResolver = (table, local, remote, resolved) => ({
    ...resolved,
    name: `${local.name} and ${remote.name}`,
    description: 'resolved', // which the user did not touch, so `_changed` does not name it
  })
  await syncPatiently(a, { conflictResolver })
  const { projects } = await account.converge()
  assert.equal(projects[project].name, 'A and B')
  assert.equal(projects[project].description, 'resolved')
})

test('a conflictResolver decides again when another phone was faster still (push 3)', async () => {
  const account = new Account()
  const { a, b, project } = await account.twoPhones()
  await a.edit('projects', project, { name: 'A' })
  const faster = () => b.editAndSync('projects', project, { description: 'B' })
  const conflictResolver = (table, local, remote, resolved) => resolved
  try {
    await a.sync({ beforePush: faster, conflictResolver })
  } catch (error) {
    assert.equal(error.status, 409)
    await a.sync({ conflictResolver })
  }
  const { projects } = await account.converge()
  assert.equal(projects[project].name, 'A')
  assert.equal(projects[project].description, 'B')
})
