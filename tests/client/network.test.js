// Answers that never arrive, and users who do not wait for them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Account, assertLost } from './account.js'

const lost = (phone) => assertLost(phone.sync({ loseAnswer: 'push' }))

test('a creation whose answer was lost is there once', async () => {
  const account = new Account()
  const { a, project } = await account.twoPhones()
  const task = await a.create('tasks', { title: 'Mow', project_id: project })
  await lost(a)
  await lost(a)
  assert.equal(await a.hasUnsyncedChanges(), true)
  await a.sync()
  const { tasks } = await account.converge()
  assert.equal(Object.keys(tasks).length, 2)
  assert.equal(tasks[task].title, 'Mow')
})

test('the very first sync loses its answers', async () => {
  const account = new Account()
  const a = await account.phone()
  const project = await a.create('projects', { name: 'Home' })
  await assertLost(a.sync({ loseAnswer: 'pull' }))
  await lost(a)
  await a.restart()
  await a.sync()
  assert.deepEqual(Object.keys((await account.converge()).projects), [project])
})

test('an edit whose answer was lost is kept', async () => {
  const account = new Account()
  const { a, task } = await account.twoPhones()
  await a.edit('tasks', task, { title: 'Paint twice' })
  await lost(a)
  await a.sync()
  assert.equal((await account.converge()).tasks[task].title, 'Paint twice')
})

test('a deletion whose answer was lost stands', async () => {
  const account = new Account()
  const { a, task } = await account.twoPhones()
  await a.remove('tasks', task)
  await lost(a)
  await a.sync()
  assert.deepEqual((await account.converge()).tasks, {})
})

test('a deleted parent whose answer was lost takes its children along', async () => {
  const account = new Account()
  const { a, b, project } = await account.twoPhones()
  await a.remove('projects', project)
  await lost(a)
  await b.sync()
  assert.deepEqual(await b.records(), { projects: {}, tasks: {} })
  assert.deepEqual(await account.converge(), { projects: {}, tasks: {} })
})

test('a creation whose answer was lost and that is then deleted stays deleted (pull 3)', async () => {
  const account = new Account()
  const { a, project } = await account.twoPhones()
  const task = await a.create('tasks', { title: 'Regretted', project_id: project })
  await lost(a)
  await a.remove('tasks', task)
  await a.sync()
  assert.equal((await account.converge()).tasks[task], undefined)
})

test('a creation whose answer was lost and that is then edited keeps the edit', async () => {
  const account = new Account()
  const { a, project } = await account.twoPhones()
  const task = await a.create('tasks', { title: 'Draft', project_id: project })
  await lost(a)
  await a.edit('tasks', task, { title: 'Final' })
  await a.sync()
  assert.equal((await account.converge()).tasks[task].title, 'Final')
})

test('a creation whose answer was lost while another phone edits it: both are kept', async () => {
  const account = new Account()
  const { a, b, project } = await account.twoPhones()
  const task = await a.create('tasks', { title: 'Draft', project_id: project })
  await lost(a)
  await b.sync()
  await b.edit('tasks', task, { description: 'by b' })
  await b.sync()
  await a.edit('tasks', task, { title: 'Final' })
  await a.sync() // pulls first: no conflict
  const { title, description } = (await account.converge()).tasks[task]
  assert.deepEqual([title, description], ['Final', 'by b'])
})

test('a creation whose answer was lost while another phone deletes it stays deleted', async () => {
  const account = new Account()
  const { a, b, project } = await account.twoPhones()
  const task = await a.create('tasks', { title: 'Draft', project_id: project })
  await lost(a)
  await b.sync()
  await b.remove('tasks', task)
  await b.sync()
  await a.sync()
  assert.equal(await a.record('tasks', task), undefined)
  assert.equal((await account.converge()).tasks[task], undefined)
})

test('an edit whose answer was lost while another phone edits too: nothing is lost', async () => {
  const account = new Account()
  const { a, b, task } = await account.twoPhones()
  await a.edit('tasks', task, { title: 'Paint twice' })
  await lost(a)
  await b.sync()
  await b.edit('tasks', task, { description: 'the fence' })
  await b.sync()
  await a.sync()
  const { title, description } = (await account.converge()).tasks[task]
  assert.deepEqual([title, description], ['Paint twice', 'the fence'])
})

test('the answer of a pull is lost: nothing is missed and nothing comes twice', async () => {
  const account = new Account()
  const { a, b, project } = await account.twoPhones()
  const task = await b.create('tasks', { title: 'Mow', project_id: project })
  await b.sync()
  await assertLost(a.sync({ loseAnswer: 'pull' }))
  await a.sync()
  assert.equal((await a.record('tasks', task)).title, 'Mow')
  await account.converge()
})

test('after a lost answer the phone is signed out and in: its own creation is not told as new', async () => {
  const account = new Account()
  const a = await account.phone({ deviceId: 'adas-phone' })
  await a.sync()
  await a.create('projects', { name: 'Home' })
  await lost(a)
  await a.logout()
  await a.login()
  await a.restart()
  await a.sync()
  assert.equal(Object.keys((await account.converge()).projects).length, 1)
})

test('an edit made while the push is on its way is pushed by the next sync', async () => {
  const account = new Account()
  const { a, task } = await account.twoPhones()
  await a.edit('tasks', task, { title: 'Paint twice' })
  await a.sync({ duringPush: () => a.edit('tasks', task, { title: 'Paint thrice' }) })
  assert.equal(await a.hasUnsyncedChanges(), true)
  assert.equal((await account.converge()).tasks[task].title, 'Paint thrice')
})

test('a creation edited while its push is on its way keeps the edit', async () => {
  const account = new Account()
  const { a, b, project } = await account.twoPhones()
  const task = await a.create('tasks', { title: 'Draft', project_id: project })
  await a.sync({ duringPush: () => a.edit('tasks', task, { title: 'Final' }) })
  await b.sync()
  await b.edit('tasks', task, { description: 'by b' })
  await b.sync()
  const { title, description } = (await account.converge()).tasks[task]
  assert.deepEqual([title, description], ['Final', 'by b'])
})
