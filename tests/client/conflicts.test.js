// Two phones change the same things: one after the other, and between pull and push.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Account, assertRefused, syncPatiently } from './account.js'

test('edits of different columns both survive (push 3)', async () => {
  const account = new Account()
  const { a, b, task } = await account.twoPhones()
  await a.edit('tasks', task, { title: 'Paint twice' })
  await b.edit('tasks', task, { description: 'the fence', is_completed: true })
  await a.sync()
  await b.sync()
  const { title, description, is_completed } = (await account.converge()).tasks[task]
  assert.deepEqual([title, description, is_completed], ['Paint twice', 'the fence', true])
})

test('of edits of one column the one pushed last wins (push 3)', async () => {
  const account = new Account()
  const { a, b, task } = await account.twoPhones()
  await b.edit('tasks', task, { title: 'edited last, pushed first' })
  await a.edit('tasks', task, { title: 'pushed last' })
  await b.sync()
  await a.sync()
  assert.equal((await account.converge()).tasks[task].title, 'pushed last')
})

for (const first of ['deletion', 'edit']) {
  test(`a deletion wins over an edit; the ${first} is pushed first (push 3)`, async () => {
    const account = new Account()
    const { a, b, task } = await account.twoPhones()
    await a.remove('tasks', task)
    await b.edit('tasks', task, { title: 'Too late' })
    const order = first === 'deletion' ? [a, b] : [b, a]
    for (const phone of order) await phone.sync()
    assert.deepEqual((await account.converge()).tasks, {})
  })
}

test('both phones delete the same record', async () => {
  const account = new Account()
  const { a, b, task } = await account.twoPhones()
  await a.remove('tasks', task)
  await b.remove('tasks', task)
  await a.sync({ beforePush: () => b.sync() })
  assert.deepEqual((await account.converge()).tasks, {})
})

for (const first of ['deletion', 'child']) {
  test(`a child of a deleted parent leaves no orphan; the ${first} is pushed first (push 4)`, async () => {
    const account = new Account()
    const { a, b, project } = await account.twoPhones()
    await a.remove('projects', project)
    await b.create('tasks', { title: 'Orphan?', project_id: project })
    const order = first === 'deletion' ? [a, b] : [b, a]
    for (const phone of order) await phone.sync()
    assert.deepEqual(await account.converge(), { projects: {}, tasks: {} })
  })
}

test('a task moved under a parent that is deleted meanwhile leaves no orphan (push 4)', async () => {
  const account = new Account()
  const { a, b, project, task } = await account.twoPhones()
  const doomed = await a.create('projects', { name: 'Doomed' })
  await a.sync()
  await b.sync()
  await a.remove('projects', doomed)
  await b.edit('tasks', task, { project_id: doomed })
  await b.sync({ beforePush: () => a.sync() })
  const { projects, tasks } = await account.converge()
  assert.deepEqual([Object.keys(projects), Object.keys(tasks)], [[project], []])
})

test('a task moved away while its parent is deleted is gone everywhere or nowhere', async () => {
  const account = new Account()
  const { a, b, project, task } = await account.twoPhones()
  const other = await b.create('projects', { name: 'Refuge' })
  await b.edit('tasks', task, { project_id: other })
  await a.remove('projects', project)
  await b.sync({ beforePush: () => a.sync() })
  await account.converge()
})

// --- Between the pull and the push of one sync ---

test('between pull and push: edits of different columns are merged (push 3)', async () => {
  const account = new Account()
  const { a, b, task } = await account.twoPhones()
  await a.edit('tasks', task, { title: 'Paint twice' })
  await b.edit('tasks', task, { description: 'the fence' })
  await a.sync({ beforePush: () => b.sync() })
  const { title, description } = (await account.converge()).tasks[task]
  assert.deepEqual([title, description], ['Paint twice', 'the fence'])
})

test('between pull and push: of one column the edit pushed last wins (push 3)', async () => {
  const account = new Account()
  const { a, b, task } = await account.twoPhones()
  await a.edit('tasks', task, { title: 'pushed last' })
  await b.edit('tasks', task, { title: 'pushed first', is_completed: true })
  await a.sync({ beforePush: () => b.sync() })
  const { title, is_completed } = (await account.converge()).tasks[task]
  assert.deepEqual([title, is_completed], ['pushed last', true])
})

test('between pull and push: the edit of a record that is deleted is undone (push 3)', async () => {
  const account = new Account()
  const { a, b, task } = await account.twoPhones()
  await a.edit('tasks', task, { title: 'Too late' })
  await b.remove('tasks', task)
  await a.sync({ beforePush: () => b.sync() })
  await a.sync()
  assert.equal(await a.record('tasks', task), undefined)
  assert.deepEqual((await account.converge()).tasks, {})
})

test('between pull and push: the deletion of a record that is edited stands (push 3)', async () => {
  const account = new Account()
  const { a, b, task } = await account.twoPhones()
  await a.remove('tasks', task)
  await b.edit('tasks', task, { title: 'Too late' })
  await a.sync({ beforePush: () => b.sync() })
  assert.deepEqual((await account.converge()).tasks, {})
})

test('between pull and push: a child under a parent that is deleted (push 4)', async () => {
  const account = new Account()
  const { a, b, project } = await account.twoPhones()
  await a.create('tasks', { title: 'Orphan?', project_id: project })
  await b.remove('projects', project)
  await a.sync({ beforePush: () => b.sync() })
  await a.sync()
  assert.deepEqual(await a.records(), { projects: {}, tasks: {} })
  assert.deepEqual(await account.converge(), { projects: {}, tasks: {} })
})

test('between pull and push: what another phone creates is not missed (pull 1)', async () => {
  const account = new Account()
  const { a, b, project } = await account.twoPhones()
  await a.create('tasks', { title: 'of a', project_id: project })
  const missed = await b.create('tasks', { title: 'of b', project_id: project })
  await a.sync({ beforePush: () => b.sync() })
  await a.sync()
  assert.equal((await a.record('tasks', missed)).title, 'of b')
  await account.converge()
})

test('between pull and push: the same new record from two phones is one', async () => {
  const account = new Account()
  const a = await account.phone()
  const b = await account.phone()
  const settings = { id: 'settings', name: 'light', created_at: 1, updated_at: 1 }
  await a.create('projects', settings)
  await b.create('projects', settings)
  await a.sync({ beforePush: () => b.sync() })
  await a.sync()
  await b.sync()
  await a.edit('projects', 'settings', { name: 'dark' })
  await a.sync()
  const { projects } = await account.converge()
  assert.deepEqual(Object.keys(projects), ['settings'])
  assert.equal(projects.settings.name, 'dark')
})

test('between pull and push: a repeated creation that another phone edited is 409, then merged', async () => {
  const account = new Account()
  const { a, b, project } = await account.twoPhones()
  const task = await a.create('tasks', { title: 'Draft', project_id: project })
  await assert.rejects(a.sync({ loseAnswer: 'push' }))
  await b.sync()
  await b.edit('tasks', task, { title: 'Final' })
  await assertRefused(a.sync({ beforePush: () => b.sync() }), 409, 'sync_conflict')
  assert.equal(await a.hasUnsyncedChanges(), true)
  await a.sync()
  assert.equal((await a.record('tasks', task)).title, 'Final')
  assert.equal((await account.converge()).tasks[task].title, 'Final')
})

// --- Really at once ---

test('two phones that sync at the same time, again and again, converge', async () => {
  const account = new Account()
  const { a, b, project, task } = await account.twoPhones()
  for (let round = 0; round < 8; round += 1) {
    await a.edit('tasks', task, { title: `Round ${round}` })
    await b.edit('tasks', task, { description: `Round ${round}` })
    await a.create('tasks', { title: `a${round}`, project_id: project })
    await b.create('tasks', { title: `b${round}`, project_id: project })
    await Promise.all([syncPatiently(a), syncPatiently(b)])
  }
  const { tasks } = await account.converge()
  assert.equal(Object.keys(tasks).length, 17)
  assert.deepEqual([tasks[task].title, tasks[task].description], ['Round 7', 'Round 7'])
})

test('four phones that sync at the same time miss none of their creations (pull 1)', async () => {
  const account = new Account()
  const { project } = await account.twoPhones()
  await account.phone()
  await account.phone({ snippet: 'docs' })
  await Promise.all(account.phones.map((phone) => syncPatiently(phone)))
  for (let round = 0; round < 4; round += 1) {
    for (const phone of account.phones) {
      await phone.create('tasks', { title: `${round}`, project_id: project })
    }
    await Promise.all(account.phones.map((phone) => syncPatiently(phone)))
  }
  assert.equal(Object.keys((await account.converge()).tasks).length, 1 + 4 * 4)
})
