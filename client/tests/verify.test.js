// Is this device identical to the server? (docs/verify.md)

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { recordChecksum } from '../dist/esm/checksum.js'
import { assertConverged, expectComplaint, phones } from './support.js'

/** Changes a record behind everybody's back, as a faulty disk would. */
async function corrupt(phone, table, id, values) {
  const record = await phone.database.get(table).find(id)
  const raw = { ...record._raw, ...values }
  await phone.database.adapter.batch([['update', table, raw]])
  Object.assign(record._raw, values)
}

test('the checksum is that of the docs', () => {
  const page = readFileSync(new URL('../../docs/verify.md', import.meta.url), 'utf8')
  const record = JSON.parse(page.match(/```json record\n([^`]*)```/)[1])
  const columns = Object.keys(record).filter((name) => name !== 'id')
  assert.equal(String(recordChecksum(record, columns)), page.match(/is\s+`([0-9]+)`/)[1])
})

test('a device in sync is identical, whatever it holds', async () => {
  const [a, b] = await phones(2)
  const texts = ['plain', 'Müller 📷', '', '€ ࠀ \u{10ffff}', '\u0000 and \uffff', '日本語']
  const ids = await a.createMany('projects', texts.map((name) => ({ name, description: name || null })))
  const task = { title: 'Paint', is_completed: true, project_id: ids[0] }
  await a.createMany('tasks', [{ ...task, created_at: 0.1 + 0.2, updated_at: -1e300 }, task])
  await a.sync()
  await b.sync()
  for (const phone of [a, b]) {
    const { identical, reason, repaired, tables } = await phone.client.verify(phone.database)
    assert.deepEqual([identical, reason, repaired], [true, null, false])
    assert.deepEqual(tables.projects.here, tables.projects.server)
    assert.equal(tables.projects.here.count, texts.length)
  }
})

test('a record that differs is found, and put right when told to', async () => {
  // the server remembers that this device has had it
  expectComplaint('Will create record instead')
  const [a, b] = await phones(2)
  const [project, lost] = await a.createMany('projects', [{ name: 'Home' }, { name: 'Lost' }])
  await b.sync()
  await a.sync()
  await corrupt(a, 'projects', project, { name: 'Hom' })
  const found = await a.client.verify(a.database)
  assert.equal(found.identical, false)
  assert.deepEqual([found.tables.projects.identical, found.tables.tasks.identical], [false, true])
  await a.database.write(async () => (await a.database.get('projects').find(lost)).destroyPermanently())
  const { identical, repaired } = await a.client.verify(a.database, { repair: true })
  assert.deepEqual([identical, repaired], [true, true])
  assert.equal((await assertConverged(a, b)).projects[project].name, 'Home')
})

test('what cannot be pushed makes it a question that cannot be answered', async () => {
  const [a] = await phones(1)
  await a.create('projects', { name: 'x'.repeat(300) })
  const { identical, reason, tables } = await a.client.verify(a.database, { partial: true })
  assert.deepEqual([identical, reason, tables], [null, 'unsynced', {}])
})

test('an account that keeps changing is not verified', async () => {
  const [a, b] = await phones(2)
  const change = async () => {
    await b.create('projects', { name: 'More' })
    await b.sync()
  }
  a.network.on('/sync/verify', change, change, change)
  const { identical, reason } = await a.client.verify(a.database)
  assert.deepEqual([identical, reason], [null, 'changing'])
  assert.equal((await a.client.verify(a.database)).identical, true)
})
