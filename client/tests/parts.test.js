// More than the server takes in one push goes in parts (client/src/parts.ts).

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PayloadTooLargeError, ValidationError } from 'melon-sync'
import { PART, pushAll } from '../dist/esm/parts.js'
import { assertFails, phones } from './support.js'

const TOO_LARGE = {
  status: 413,
  headers: { 'Content-Type': 'application/problem+json' },
  body: JSON.stringify({ status: 413, code: 'payload_too_large' }),
}
const lists = (created) => ({ created, updated: [], deleted: [] })
const task = (id, project_id) => ({ id, title: id, project_id })

/** The parts that were stored, as numbers of records. */
async function pushed(phone, changes, partial = false) {
  const { api, numbers } = phone.client.parts
  const as = (await phone.client.user()).id
  const stored = []
  const onStored = async (sent, rejected) => {
    const count = Object.values(sent).flatMap(({ created }) => created).length
    stored.push(count - Object.values(rejected).flat().length)
  }
  const answer = await pushAll({ changes, lastPulledAt: 0 }, { api, as, numbers, partial }, { tables: [], onStored })
  return { answer, stored }
}

test('children that come a part before their parent are sent again after it', async () => {
  const [phone] = await phones(1)
  const tasks = Array.from({ length: PART + 1 }, (_, index) => task(`t${index}`, 'p'))
  const { answer, stored } = await pushed(phone, { tasks: lists(tasks), projects: lists([{ id: 'p', name: 'P' }]) })
  assert.deepEqual(stored, [0, 2, PART])
  assert.deepEqual(answer.rejected, [])
  assert.equal((await phone.sync()).pulled, PART + 2)
})

test('what never gets a parent is the server’s error in the end, or alone with partial', async () => {
  const [phone] = await phones(1)
  const tasks = Array.from({ length: PART }, (_, index) => task(`t${index}`, 'p'))
  const changes = { projects: lists([{ id: 'p', name: 'P' }]), tasks: lists([...tasks, task('orphan', 'nowhere')]) }
  await assertFails(pushed(phone, changes), ValidationError, 'unknown_parent')
  const { answer } = await pushed(phone, changes, true)
  assert.deepEqual(
    answer.rejected.map(({ id, code }) => [id, code]),
    [['orphan', 'unknown_parent']],
  )
})

test('a push that is too large is halved; one record that is, is told', async () => {
  const [phone, other] = await phones(2)
  await phone.createMany('projects', [{ name: 'One' }, { name: 'Two' }])
  phone.network.on('/sync/push', TOO_LARGE)
  await phone.sync()
  assert.equal(phone.network.count('/sync/push'), 3)
  assert.equal(await phone.client.hasUnsyncedChanges(phone.database), false)
  assert.equal((await other.sync()).pulled, 2)
  await phone.create('projects', { name: 'Three' })
  phone.network.on('/sync/push', TOO_LARGE)
  await assertFails(phone.sync(), PayloadTooLargeError)
})
