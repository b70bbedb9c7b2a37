// Each field of an answer that is read: where it is not the server's, the error names it and nothing of the
// answer counts.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiError, ForbiddenError, NotThisServerError, SignedOutError } from 'melon-sync'
import { assertConverged, assertFails, newPhone, phones } from './support.js'

const ONCE = { retry: { attempts: 1 } }
const PULL = '/sync/pull'
const PUSH = '/sync/push'

async function assertIsNot(promise, place) {
  const error = await assertFails(promise, NotThisServerError, 'bad_answer')
  assert.equal(error.place, place)
  assert.ok(error.message.includes(place))
}

/** A person with three projects, and a second phone that has none of them. */
async function twoPhones() {
  const [a, b] = await phones(2, ONCE)
  await a.createMany('projects', ['One', 'Two', 'Three'].map((name) => ({ name })))
  await a.sync()
  return [a, b]
}

const inProjects = (change) => (answer) => {
  change(answer.changes.projects)
  return answer
}
const withRecord = (more) => inProjects(({ created }) => Object.assign(created[1], more))

for (const [what, alter, place] of [
  ['no clock', ({ timestamp: _, ...rest }) => rest, 'timestamp'],
  ['half a millisecond', (answer) => ({ ...answer, timestamp: answer.timestamp + 0.5 }), 'timestamp'],
  ['no cursor', ({ cursor: _, ...rest }) => rest, 'cursor'],
  ['a cursor that is none', (answer) => ({ ...answer, cursor: 7 }), 'cursor'],
  ['a replacement of nothing', (answer) => ({ ...answer, experimentalStrategy: 'replacement' }), 'experimentalStrategy'],
  ['a strategy', (answer) => ({ ...answer, experimentalStrategy: 'other' }), 'experimentalStrategy'],
  ['a table of lists', (answer) => ({ ...answer, changes: [] }), 'changes'],
  ['a table of JavaScript’s', (answer) => ({ ...answer, changes: JSON.parse('{"__proto__":{"created":[]}}') }), 'changes.__proto__'],
  ['a list that is none', inProjects((lists) => (lists.deleted = {})), 'changes.projects.deleted'],
  ['an update in a first pull', inProjects((lists) => (lists.updated = lists.created)), 'changes.projects.updated'],
  ['a deletion in a first pull', inProjects((lists) => (lists.deleted = ['a'])), 'changes.projects.deleted'],
  ['an id with a quote', withRecord({ id: "a'b" }), 'changes.projects.created[1]'],
  ['an object for a value', withRecord({ name: {} }), 'changes.projects.created[1]'],
  ['WatermelonDB’s own column', withRecord({ _status: 'created' }), 'changes.projects.created[1]'],
  ['a record twice', inProjects(({ created }) => created.push(created[0])), 'changes.projects.created[3]'],
]) {
  test(`a pull with ${what} changes nothing`, async () => {
    const [a, b] = await twoPhones()
    b.network.on(PULL, { alter })
    await assertIsNot(b.sync(), place)
    assert.deepEqual([await b.lastPulledAt(), (await b.records()).projects], [null, {}])
    await assertConverged(a, b)
  })
}

for (const [what, alter, place] of [
  ['a clock that goes back', (answer) => ({ ...answer, timestamp: answer.timestamp - 60_000 }), 'timestamp'],
  ['a record in two lists', inProjects((lists) => (lists.deleted = [lists.created[0].id])), 'changes.projects.deleted[0]'],
  ['a deletion that is a record', inProjects((lists) => (lists.deleted = [{ id: 'a' }])), 'changes.projects.deleted[0]'],
  ['a page of more', (answer) => ({ ...answer, cursor: 'more' }), 'cursor'],
]) {
  test(`a later pull with ${what} changes nothing`, async () => {
    const [a, b] = await phones(2, ONCE)
    await b.sync()
    const before = await b.lastPulledAt()
    await a.create('projects', { name: 'One' })
    await a.sync()
    b.network.on(PULL, { alter })
    await assertIsNot(b.sync(), place)
    assert.deepEqual([await b.lastPulledAt(), (await b.records()).projects], [before, {}])
    await assertConverged(a, b)
  })
}

for (const [what, alter, place] of [
  ['another clock', (answer) => ({ ...answer, timestamp: answer.timestamp + 1 }), 'timestamp'],
  ['the first one’s cursor', (answer, first) => ({ ...answer, cursor: first.cursor }), 'cursor'],
  ['the first one’s records', (_, first) => ({ ...first, cursor: null }), 'changes.projects.created[0]'],
  ['another strategy', (answer) => ({ ...answer, experimentalStrategy: 'replacement' }), 'experimentalStrategy'],
]) {
  test(`a second page with ${what} belongs to another pull: nothing of either counts`, async () => {
    const [a, b] = await twoPhones()
    let first
    b.network.on(PULL, { alter: (answer) => (first = answer) }, { alter: (answer) => alter(answer, first) })
    await assertIsNot(b.sync({ pageSize: 2 }), place)
    assert.deepEqual([await b.lastPulledAt(), (await b.records()).projects], [null, {}])
    assert.equal(b.network.count(PULL), 2)
    await assertConverged(a, b)
  })
}

/** The answer to a partial push of one good project and one whose name is too long. */
const withRejected = (change) => (answer) => {
  const [id] = answer.experimentalRejectedIds.projects
  return { ...answer, ...change(id, answer) }
}
for (const [what, change, place] of [
  ['no rejected ids', () => ({ experimentalRejectedIds: undefined }), 'experimentalRejectedIds'],
  ['no codes', () => ({ rejected: undefined }), 'rejected'],
  ['no reasons', () => ({ errors: 'none' }), 'errors'],
  ['codes of another table', (id) => ({ rejected: { tasks: { [id]: 'refused' } } }), 'rejected.projects'],
  ['a code that is none', (id) => ({ rejected: { projects: { [id]: 7 } } }), 'rejected.projects.ID'],
  ['a code for another record', () => ({ rejected: { projects: { other: 'refused' } } }), 'rejected.projects.other'],
  ['what was never sent', () => ({ experimentalRejectedIds: { projects: ['x'] }, rejected: { projects: { x: 'refused' } } }), 'experimentalRejectedIds.projects'],
  ['a table that was never sent', () => ({ experimentalRejectedIds: { toString: ['x'] }, rejected: { toString: { x: 'refused' } } }), 'experimentalRejectedIds.toString'],
  ['a clock that goes back', () => ({ timestamp: 1 }), 'timestamp'],
  ['a clock, though not all was stored', () => ({ timestamp: Date.now() }), 'timestamp'],
]) {
  test(`a partial push that is answered with ${what} is not taken for stored`, async () => {
    const [phone, other] = await phones(2, ONCE)
    const long = await phone.create('projects', { name: 'x'.repeat(300) })
    const good = await phone.create('projects', { name: 'Good' })
    phone.network.on(PUSH, { alter: withRejected(change) })
    await assertIsNot(phone.sync({ partial: true }), place.replace('ID', long))
    for (const id of [long, good]) assert.equal((await phone.database.get('projects').find(id)).syncStatus, 'created')
    const { rejected } = await phone.sync({ partial: true })
    assert.deepEqual(rejected.map(({ id, code }) => [id, code]), [[long, 'validation_failed']])
    await phone.edit('projects', long, { name: 'Short' })
    assert.equal(Object.keys((await assertConverged(phone, other)).projects).length, 2)
  })
}

test('a push that was not partial has no rejected ones', async () => {
  const [phone] = await phones(1, ONCE)
  await phone.create('projects', { name: 'Home' })
  phone.network.on(PUSH, { alter: (answer) => ({ ...answer, experimentalRejectedIds: {} }) })
  await assertIsNot(phone.sync(), 'experimentalRejectedIds')
  assert.equal((await phone.sync()).pushed, 1)
})

for (const [what, alter, place] of [
  ['no word', ({ identical: _, ...rest }) => rest, 'identical'],
  ['another word than its tables’', (answer) => ({ ...answer, identical: false }), 'identical'],
  ['a table too few', ({ tables: { tasks: _, ...tables }, ...rest }) => ({ ...rest, tables }), 'tables'],
  ['a count that is none', (answer) => (answer.tables.tasks.count = '0', answer), 'tables.tasks.count'],
  ['no checksum', (answer) => (delete answer.tables.tasks.checksum, answer), 'tables.tasks.checksum'],
  ['null and tables', (answer) => ({ ...answer, identical: null }), 'tables'],
]) {
  test(`a verdict with ${what} is none`, async () => {
    const [phone] = await phones(1, ONCE)
    phone.network.on('/sync/verify', { alter })
    await assertIsNot(phone.client.verify(phone.database), place)
    assert.equal((await phone.client.verify(phone.database)).identical, true)
  })
}

for (const [what, alter, place] of [
  ['a token of two lines', (answer) => ({ ...answer, refresh_token: 'a\nb' }), 'refresh_token'],
  ['another kind of token', (answer) => ({ ...answer, token_type: 'MAC' }), 'token_type'],
  ['no time to live', (answer) => ({ ...answer, expires_in: null }), 'expires_in'],
  ['no user', ({ user: _, ...rest }) => rest, 'user'],
  ['half a user', ({ user: { is_active: _, ...user }, ...rest }) => ({ ...rest, user }), 'user.is_active'],
]) {
  test(`a sign-in with ${what} signs nobody in`, async () => {
    const [known] = await phones(1)
    const phone = await newPhone(ONCE)
    phone.network.on('/auth/login', { alter })
    await assertIsNot(phone.client.login(known.credentials), place)
    assert.equal(await phone.client.user(), null)
  })
}

test('other calls: the field is named', async () => {
  const [phone] = await phones(1, ONCE)
  const { client, network } = phone
  for (const [path, call, alter, place] of [
    ['/users/me', () => client.me(), (user) => ({ ...user, id: 'of another account' }), 'id'],
    ['/users/me', () => client.updateProfile({ name: 'x' }), (user) => ({ ...user, created_at: 5 }), 'created_at'],
    ['/auth/sessions', () => client.sessions(), ([one]) => [one, { ...one, current: 1 }], 'sessions[1].current'],
    ['/users/me/export', () => client.exportData(), ({ user }) => ({ user }), 'sessions'],
  ]) {
    network.on(path, { alter })
    await assertIsNot(call(), place)
  }
})

// --- Errors of somebody on the way -----------------------------------------------------------------

const page = (status, body = '<h1>Hotel</h1>') => ({ status, headers: { 'Content-Type': 'text/html' }, body })

test('a 401 that is no problem of the server’s signs nobody out, and tells no server of a logout', async () => {
  const [phone] = await phones(1, ONCE)
  await phone.ageToken()
  phone.network.on('/auth/refresh', page(401, '{"code":"token_revoked"}'))
  await assertFails(phone.client.me(), ApiError, 'http_401')
  await phone.client.me()
  phone.network.on('/auth/logout', page(401))
  assert.deepEqual(await phone.client.logout(), { serverTold: false })
})

test('a session that had ended before counts as told', async () => {
  const [phone, tablet] = await phones(2)
  await tablet.client.logoutAll()
  assert.deepEqual(await phone.client.logout(), { serverTold: true })
  await assertFails(phone.sync(), SignedOutError, 'signed_out')
})

test('a 403 page is not the server’s word on the account', async () => {
  const [phone] = await phones(1, ONCE)
  phone.network.on(PULL, page(403))
  const error = await assertFails(phone.sync(), ApiError, 'http_403')
  assert.ok(!(error instanceof ForbiddenError))
})
