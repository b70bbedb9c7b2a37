// What the server did not take is told to the app, which shows it at the records (docs/your-code.md).

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ValidationError } from 'melon-sync'
import { assertConverged, assertFails, phones } from './support.js'

const LONG = 'x'.repeat(256)

async function telling() {
  const told = []
  const [phone, other] = await phones(2, { onRejected: (rejected) => told.push(rejected) })
  return { phone, other, told }
}

test('what is rejected is told after each sync, and that nothing is any more', async () => {
  const { phone, other, told } = await telling()
  const id = await phone.create('projects', { name: LONG })
  await phone.create('projects', { name: 'Home' })
  const reasons = { name: ['Longer than maximum length 255.'] }
  const rejected = { table: 'projects', id, reasons, code: 'validation_failed' }
  assert.deepEqual((await phone.sync()).rejected, [rejected])
  await phone.sync()
  await phone.edit('projects', id, { name: 'short' })
  await phone.sync()
  assert.deepEqual(told, [[rejected], [rejected], []])
  const { projects } = await assertConverged(phone, other)
  assert.deepEqual(Object.values(projects).map(({ name }) => name).sort(), ['Home', 'short'])
})

test('what is deleted is rejected no more', async () => {
  const { phone, told } = await telling()
  const id = await phone.create('projects', { name: LONG })
  await phone.sync()
  await phone.remove('projects', id)
  await phone.client.verify(phone.database)
  assert.deepEqual(told.map(({ length }) => length), [1, 0])
})

test('a sync that is not partial fails, and tells nothing', async () => {
  const { phone, told } = await telling()
  await phone.create('projects', { name: LONG })
  await assertFails(phone.sync({ partial: false }), ValidationError, 'validation_failed')
  assert.deepEqual(told, [])
})

test('who is not told syncs as ever: all or nothing', async () => {
  const [phone] = await phones(1)
  await phone.create('projects', { name: LONG })
  await assertFails(phone.sync(), ValidationError, 'validation_failed')
})
