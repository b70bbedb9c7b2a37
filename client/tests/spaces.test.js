// Shared spaces: two people, their phones, and what happens when a right is given and taken (docs/sharing.md). The
// server's app is app/, whose projects may be shared.

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { ApiError, ForbiddenError, NotThisServerError, ValidationError } from 'melon-sync'
import {
  assertFails,
  expectComplaint,
  newDatabase,
  PASSWORD,
  phones,
  sharedSchema,
  watermelon,
} from './support.js'

const { synchronize } = watermelon('/sync')
const { Model } = watermelon()

expectComplaint('collection named templates') // the catalogue of app/, which this app does not know

class Project extends Model {
  static table = 'projects'
  static associations = { tasks: { type: 'has_many', foreignKey: 'project_id' } }
}

class Task extends Model {
  static table = 'tasks'
  static associations = { projects: { type: 'belongs_to', key: 'project_id' } }
}

/** A person with one phone, whose projects may be shared. */
async function person(options = {}) {
  const database = newDatabase([Project, Task], sharedSchema)
  const [phone] = await phones(1, { database, ...options })
  return Object.assign(phone, { spaces: phone.client.spaces, id: (await phone.client.user()).id })
}

/** Ada owns “Family”, Ben is in it; both hold a project with a task. */
async function family({ role = 'editor', ...options } = {}) {
  const [ada, ben] = [await person(), await person(options)]
  const space = await ada.spaces.create({ name: 'Family' })
  const { token } = await ada.spaces.invite(space.id, { role })
  await ben.spaces.join(token)
  const project = await ada.create('projects', { name: 'Food', space_id: space.id })
  const task = await ada.create('tasks', { title: 'Milk', project_id: project })
  await ada.sync()
  await ben.sync()
  return { ada, ben, space: space.id, project, task }
}

async function titles(phone) {
  const { projects, tasks } = await phone.records()
  const names = [...Object.values(projects).map(({ name }) => name), ...Object.values(tasks).map(({ title }) => title)]
  return names.sort()
}

function noting() {
  const told = []
  return { told, onAccessLost: (lost) => void told.push(lost) }
}

test('a space is made, shared, renamed, handed over and deleted', async () => {
  const [ada, ben] = [await person(), await person()]
  const id = randomUUID()
  const made = await ada.spaces.create({ id, name: 'Family' })
  assert.deepEqual(await ada.spaces.create({ id, name: 'Family' }), made)
  assert.deepEqual([made.id, made.name, made.role, made.members], [id, 'Family', 'owner', 1])
  const invitation = await ada.spaces.invite(id, { role: 'reader' })
  const { token, ...listed } = invitation
  assert.deepEqual(await ada.spaces.invitations(id), [listed])
  const joined = await ben.spaces.join(token)
  assert.deepEqual([joined.id, joined.role, joined.members], [id, 'reader', 2])
  assert.deepEqual(await ben.spaces.list(), [joined])
  assert.deepEqual(await ada.spaces.invitations(id), [])
  await ada.spaces.role(id, ben.id, 'owner')
  assert.equal((await ben.spaces.rename(id, 'Us')).name, 'Us')
  await ada.spaces.leave(id)
  assert.deepEqual(await ada.spaces.list(), [])
  const [only] = await ben.spaces.members(id)
  assert.deepEqual([only.user_id, only.role], [ben.id, 'owner'])
  await assertFails(ben.spaces.leave(id), ApiError, 'last_owner')
  await ben.spaces.delete(id)
  assert.deepEqual(await ben.spaces.list(), [])
  await assertFails(ada.spaces.create({ id, name: 'Mine' }), ApiError, 'id_taken')
})

test('what the role does not allow is told, and so is a space of others', async () => {
  const { ada, ben, space } = await family({ role: 'reader' })
  const stranger = await person()
  await assertFails(ben.spaces.rename(space, 'Mine'), ForbiddenError, 'forbidden')
  await assertFails(ben.spaces.remove(space, ada.id), ForbiddenError, 'forbidden')
  const error = await assertFails(stranger.spaces.members(space), ApiError, 'not_found')
  assert.equal(error.status, 404)
  await assertFails(stranger.spaces.join('nothing'), ValidationError, 'validation_failed')
})

test('an invitation that was taken back lets nobody in', async () => {
  const { ada, space } = await family()
  const late = await person()
  const { id, token } = await ada.spaces.invite(space, { role: 'reader' })
  await ada.spaces.revoke(space, id)
  await assertFails(late.spaces.join(token), ValidationError, 'validation_failed')
})

test('a mailed invitation has no token in its answer', async () => {
  const { ada, space } = await family()
  const email = `${randomUUID()}@example.com`
  const invitation = await ada.spaces.invite(space, { role: 'editor', email })
  assert.deepEqual([invitation.email, 'token' in invitation], [email, false])
})

test('a lost answer to a creation with an id of the app’s own, and to a join, is asked for again', async () => {
  const [ada, ben] = [await person(), await person()]
  ada.network.on('/spaces', 'lose')
  const { id } = await ada.spaces.create({ id: randomUUID(), name: 'Family' })
  const { token } = await ada.spaces.invite(id, { role: 'editor' })
  ben.network.on('/spaces/join', 'lose')
  assert.equal((await ben.spaces.join(token)).id, id)
})

for (const [what, alter, place] of [
  ['no list', () => ({}), 'spaces'],
  ['a space without a name', ([{ name: _, ...space }]) => [space], 'spaces[0].name'],
]) {
  test(`an answer with ${what} is not the server’s`, async () => {
    const { ben } = await family({ retry: { attempts: 1 } })
    ben.network.on('/spaces', { alter })
    const error = await assertFails(ben.spaces.list(), NotThisServerError, 'bad_answer')
    assert.equal(error.place, place)
  })
}

test('both edit what they share, and each column keeps its edit', async () => {
  const { ada, ben, task } = await family()
  await ada.edit('tasks', task, { title: 'Oat milk' })
  await ben.edit('tasks', task, { is_completed: true })
  for (const phone of [ada, ben, ada]) await phone.sync()
  for (const phone of [ada, ben]) {
    const { title, is_completed: isDone } = (await phone.records()).tasks[task]
    assert.deepEqual([title, isDone], ['Oat milk', true])
  }
})

test('a phone that is out is told before its records go: what is on it alone, and nothing else', async () => {
  const { told, onAccessLost } = noting()
  let held
  const look = async (lost) => {
    held = await titles(ben)
    onAccessLost(lost)
  }
  const { ada, ben, space, project, task } = await family({ onAccessLost: look })
  await ben.create('projects', { name: 'Diary', space_id: null })
  const list = await ben.create('projects', { name: 'Garden', space_id: space })
  const bread = await ben.create('tasks', { title: 'Bread', project_id: project })
  await ben.edit('tasks', task, { title: 'Oat milk' })
  await ada.spaces.remove(space, ben.id)
  await ben.sync()
  assert.equal(told.length, 1)
  const [{ spaces, unsynced }] = told
  assert.deepEqual(spaces, [{ id: space, name: 'Family', role: 'editor', now: null }])
  const found = unsynced.map(({ table, id, isNew, record }) => [table, id, isNew, record.title ?? record.name])
  const expected = [
    ['projects', list, true, 'Garden'],
    ['tasks', bread, true, 'Bread'],
    ['tasks', task, false, 'Oat milk'],
  ]
  assert.deepEqual(found.sort(), expected.sort())
  const columns = ['created_at', 'description', 'id', 'is_completed', 'project_id', 'title', 'updated_at']
  assert.deepEqual(Object.keys(unsynced.find(({ id }) => id === bread).record).sort(), columns)
  assert.deepEqual(held, ['Bread', 'Diary', 'Food', 'Garden', 'Oat milk'])
  await ben.sync()
  assert.deepEqual(await titles(ben), ['Diary'])
  assert.equal(told.length, 1)
  await ada.sync()
  assert.deepEqual(await titles(ada), ['Food', 'Milk'])
})

test('what the app copies stays, and is uploaded as its own', async () => {
  const { ada, ben, space, task } = await family({
    onAccessLost: async ({ unsynced }) => {
      const kept = await ben.create('projects', { name: 'Kept', space_id: null })
      for (const { record } of unsynced) await ben.create('tasks', { title: record.title, project_id: kept })
    },
  })
  await ben.edit('tasks', task, { title: 'Oat milk' })
  await ada.spaces.remove(space, ben.id)
  await ben.sync()
  await ben.sync()
  assert.deepEqual(await titles(ben), ['Kept', 'Oat milk'])
  assert.equal(await ben.client.hasUnsyncedChanges(ben.database), false)
})

test('nothing goes where the app could not copy, and it is asked again', async () => {
  const failing = [true, false]
  const { told, onAccessLost } = noting()
  const { ada, ben, space } = await family({
    onAccessLost(lost) {
      onAccessLost(lost)
      if (failing.shift()) throw new Error('no room')
    },
  })
  await ada.spaces.remove(space, ben.id)
  await assert.rejects(ben.sync(), /no room/)
  assert.deepEqual(await titles(ben), ['Food', 'Milk'])
  await ben.sync()
  assert.deepEqual([await titles(ben), told.length], [[], 2])
})

test('a right that goes between the pull and the question is not missed', async () => {
  const { told, onAccessLost } = noting()
  const { ada, ben, space, task } = await family({ onAccessLost })
  await ada.create('projects', { name: 'Car', space_id: space })
  await ada.sync()
  await ben.edit('tasks', task, { title: 'Oat milk' })
  ben.network.on('/sync/pull', { late: () => ada.spaces.remove(space, ben.id) })
  await ben.sync()
  assert.deepEqual([told.length, told[0].unsynced.length], [1, 1])
  assert.deepEqual(await titles(ben), [])
})

test('a space that was deleted is lost, too', async () => {
  const { told, onAccessLost } = noting()
  const { ada, ben, space } = await family({ onAccessLost })
  await ada.spaces.delete(space)
  await ben.sync()
  assert.deepEqual(told[0].spaces, [{ id: space, name: 'Family', role: 'editor', now: null }])
  assert.deepEqual(await titles(ben), [])
})

test('who may only read from now on is told what will not be stored', async () => {
  const { told, onAccessLost } = noting()
  const { ada, ben, space, task } = await family({ onAccessLost })
  await ben.edit('tasks', task, { title: 'Oat milk' })
  await ada.spaces.role(space, ben.id, 'reader')
  await ben.sync()
  await ben.sync()
  assert.equal(told.length, 1)
  assert.deepEqual(told[0].spaces, [{ id: space, name: 'Family', role: 'editor', now: 'reader' }])
  assert.deepEqual(told[0].unsynced.map(({ id }) => id), [task])
  assert.deepEqual(await titles(ben), ['Food', 'Milk'])
  assert.equal(await ben.client.hasUnsyncedChanges(ben.database), false)
})

test('a reader’s edit is named by a partial sync, and put back by one that is not', async () => {
  const { ben, task } = await family({ role: 'reader' })
  await ben.edit('tasks', task, { title: 'Oat milk' })
  for (let again = 0; again < 2; again += 1) {
    const { rejected } = await ben.sync({ partial: true })
    assert.deepEqual(rejected.map(({ id, code }) => [id, code]), [[task, 'forbidden']])
    assert.deepEqual(await titles(ben), ['Food', 'Oat milk'])
  }
  await ben.sync({ partial: false })
  await ben.sync({ partial: false })
  assert.deepEqual(await titles(ben), ['Food', 'Milk'])
})

test('spaces are asked for where the clock has moved, and not by an idle sync', async () => {
  const { onAccessLost } = noting()
  const { ada, ben, project } = await family({ onAccessLost })
  await ben.sync()
  const before = ben.network.count('/spaces')
  await ben.sync()
  assert.equal(ben.network.count('/spaces'), before)
  await ada.edit('projects', project, { name: 'Feed' })
  await ada.sync()
  await ben.sync()
  assert.equal(ben.network.count('/spaces'), before + 1)
})

test('a client without onAccessLost asks for no spaces', async () => {
  const { ada, ben, space } = await family()
  await ada.spaces.remove(space, ben.id)
  await ben.sync()
  assert.deepEqual([await titles(ben), ben.network.count('/spaces')], [[], 0])
})

test('an account that takes a database over is told of no spaces of the one before', async () => {
  const { told, onAccessLost } = noting()
  const { ben } = await family({ onAccessLost })
  await ben.client.logout()
  await ben.client.register({ email: `${randomUUID()}@example.com`, password: PASSWORD })
  await ben.sync({ adopt: 'other_account', partial: true })
  assert.deepEqual(told, [])
})

for (const partial of [false, true]) {
  test(`work in a space that is not there yet waits on the phone${partial ? ', and what is beside it goes' : ''}`, async () => {
    const ada = await person()
    const space = randomUUID()
    await ada.create('projects', { name: 'Food', space_id: space })
    await ada.create('projects', { name: 'Diary', space_id: null })
    if (partial) assert.deepEqual((await ada.sync({ partial })).rejected.map(({ code }) => code), ['unknown_space'])
    else await assertFails(ada.sync({ partial }), ValidationError, 'unknown_space')
    assert.deepEqual(await ada.client.unsynced(ada.database), { projects: partial ? 1 : 2 })
    await ada.spaces.create({ id: space, name: 'Family' })
    await ada.sync({ partial })
    assert.equal(await ada.client.hasUnsyncedChanges(ada.database), false)
  })

  test(`a space that is made while the push is under way: the push is tried again${partial ? ' (partial)' : ''}`, async () => {
    const ada = await person()
    const space = randomUUID()
    await ada.create('projects', { name: 'Food', space_id: space })
    let made
    const late = async () => {
      made = ada.spaces.create({ id: space, name: 'Family' })
    }
    ada.network.on('/sync/push', { late })
    const { rounds, rejected } = await ada.sync({ partial })
    await made
    assert.deepEqual([rounds, rejected], [2, []])
    assert.equal(await ada.client.hasUnsyncedChanges(ada.database), false)
  })
}

// --- Stock WatermelonDB, with fetch alone

/** As docs/stock-client.md does it, with this phone's token. */
async function stockSync(phone) {
  const { database, network } = phone
  const call = async (path, body) => {
    const { access } = await phone.storedSession()
    const headers = { 'Content-Type': 'application/json', Authorization: `Bearer ${access}` }
    const answer = await fetch(`${network.url}/api/v1${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
    const said = await answer.json()
    if (!answer.ok) throw Object.assign(new Error(said.code), said)
    return said
  }
  await synchronize({
    database,
    pullChanges: ({ lastPulledAt, schemaVersion, migration }) =>
      call('/sync/pull', { lastPulledAt, schemaVersion, migration }),
    pushChanges: ({ changes, lastPulledAt }) => call('/sync/push', { changes, lastPulledAt }),
  })
}

test('stock synchronize() gets what is shared, loses it with the right, and is not stuck', async () => {
  const { ada, ben, space, project, task } = await family()
  const sync = () => stockSync(ben)
  await sync()
  await ben.edit('tasks', task, { title: 'Oat milk' })
  await sync()
  await ada.sync()
  assert.deepEqual(await titles(ada), ['Food', 'Oat milk'])
  await ben.create('tasks', { title: 'Bread', project_id: project })
  await ada.spaces.remove(space, ben.id)
  await sync()
  await sync()
  assert.deepEqual(await titles(ben), [])
  await ben.create('projects', { name: 'Diary', space_id: null })
  await sync()
  await ada.sync()
  assert.deepEqual([await titles(ben), await titles(ada)], [['Diary'], ['Food', 'Oat milk']])
})

test('stock synchronize() keeps its work until the space is there', async () => {
  const ada = await person()
  const space = randomUUID()
  await ada.create('projects', { name: 'Food', space_id: space })
  await assert.rejects(stockSync(ada), /unknown_space/)
  await ada.spaces.create({ id: space, name: 'Family' })
  await stockSync(ada)
  assert.deepEqual([await titles(ada), await ada.client.hasUnsyncedChanges(ada.database)], [['Food'], false])
})
