// Phones that were away for longer than the server remembers deletions (pull 7).
// It purges for all accounts at once, so it wants a server of its own.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test as nodeTest } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Account, assertRefused } from './account.js'

const PYTHON = process.env.MELON_PYTHON
const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const PURGE = ['-m', 'flask', '--app', 'wsgi', 'sync', 'purge', '--older-than', '0m']

const purge = () => execFileSync(PYTHON, PURGE, { cwd: ROOT })
const test = (name, work) => nodeTest(name, { skip: !PYTHON && 'needs MELON_PYTHON' }, work)

test('a phone that missed a purged deletion drops the record and keeps its own work', async () => {
  const account = new Account()
  const { a, b, project, task } = await account.twoPhones()
  const other = await b.create('tasks', { title: 'Pushed, never pulled', project_id: project })
  await b.sync()
  const unwanted = await a.create('tasks', { title: 'Unwanted', project_id: project })
  await a.sync()
  await b.sync()

  await a.remove('tasks', task)
  const born = await a.create('tasks', { title: 'Born meanwhile', project_id: project })
  await a.sync()
  await b.edit('tasks', task, { title: 'Too late' })
  await b.edit('projects', project, { name: 'Edited offline' })
  await b.remove('tasks', unwanted)
  const made = await b.create('tasks', { title: 'Made offline', project_id: project })
  purge()
  await b.sync()
  assert.equal(b.traffic.pulled.experimentalStrategy, 'replacement')

  const { projects, tasks } = await account.converge()
  assert.deepEqual(new Set(Object.keys(tasks)), new Set([other, born, made]))
  assert.equal(projects[project].name, 'Edited offline')
})

test('a phone that missed the purged deletion of a parent drops the children, too', async () => {
  const account = new Account()
  const { a, b, project } = await account.twoPhones()
  await a.remove('projects', project)
  await a.sync()
  await b.create('projects', { name: 'Made offline' })
  purge()
  await b.sync()
  const { projects, tasks } = await account.converge()
  assert.deepEqual([Object.keys(projects).length, tasks], [1, {}])
})

test('between pull and push: a deletion is purged, so the push is 409 until the next pull', async () => {
  const account = new Account()
  const { a, b, project, task } = await account.twoPhones()
  await b.edit('tasks', task, { title: 'Too late' })
  await b.edit('projects', project, { name: 'House' })
  const meanwhile = async () => {
    await a.remove('tasks', task)
    await a.sync()
    purge()
  }
  await assertRefused(b.sync({ beforePush: meanwhile }), 409, 'sync_conflict')
  await b.sync()
  const { projects, tasks } = await account.converge()
  assert.deepEqual([projects[project].name, tasks], ['House', {}])
})

test('a child made offline under a purged parent is refused by name (push 4)', async () => {
  const account = new Account()
  const { a, b, project } = await account.twoPhones()
  await a.remove('projects', project)
  await a.sync()
  const orphan = await b.create('tasks', { title: 'Orphan', project_id: project })
  purge()
  await assertRefused(b.sync(), 422, 'unknown_parent')
  await b.remove('tasks', orphan)
  assert.deepEqual(await account.converge(), { projects: {}, tasks: {} })
})
