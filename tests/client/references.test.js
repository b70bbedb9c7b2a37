// References that outlive what they name (push 4): labels' to their project is cleared, memos' is kept. Its
// server has these tables (tests/own_tables_page.py).

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { Account, app, assertRefused, TABLES, TIMES } from './account.js'

const PURGE = ['-m', 'flask', '--app', 'wsgi', 'sync', 'purge', '--older-than', '0m']
const purge = () => execFileSync(process.env.MELON_PYTHON, PURGE, { cwd: process.env.MELON_COPY })
const TEXT = { name: 'text', type: 'string' }
const reference = (name, isOptional) => ({ name, type: 'string', isIndexed: true, isOptional })
const LABELS = {
  name: 'labels',
  columns: [TEXT, ...['project_id', 'like_id', 'under_id'].map((name) => reference(name, true)), ...TIMES],
}
const MEMOS = {
  name: 'memos',
  columns: [TEXT, reference('task_id', true), reference('label_id', true), reference('project_id', false), ...TIMES],
}
const APP = app(1, [...TABLES, LABELS, MEMOS], [])

/** Two phones that know of one project with a label and a memo. */
async function twoPhones() {
  const account = new Account({ app: APP })
  const a = await account.phone()
  const project = await a.create('projects', { name: 'Home' })
  const label = await a.create('labels', { text: 'Red', project_id: project })
  const memo = await a.create('memos', { text: 'Call', project_id: project })
  await a.sync()
  const b = await account.phone()
  await b.sync()
  return { account, a, b, project, label, memo }
}

test('a project goes on one phone while its label and its memo are edited on the other', async () => {
  const { account, a, b, project, label, memo } = await twoPhones()
  await a.remove('projects', project)
  await a.edit('memos', memo, { created_at: 7 })
  await b.edit('labels', label, { text: 'Blue' })
  await b.edit('memos', memo, { text: 'Write' })
  const late = await b.create('labels', { text: 'Late', project_id: project })
  const lateMemo = await b.create('memos', { text: 'Late', project_id: project })
  await b.sync({ beforePush: () => a.sync() })
  for (const phone of [b, a]) await phone.sync()
  for (const phone of [a, b]) {
    const { projects, labels, memos } = await phone.records()
    assert.deepEqual(projects, {})
    assert.deepEqual([labels[label].text, labels[label].project_id], ['Blue', null])
    assert.deepEqual([labels[late].text, labels[late].project_id], ['Late', null])
    assert.deepEqual([memos[memo].text, memos[memo].created_at], ['Write', 7])
    assert.deepEqual([memos[memo].project_id, memos[lateMemo].project_id], [project, project])
  }
  await account.converge()
})

test('the label is moved on the other phone meanwhile: there it stays; deleted there, it is gone', async () => {
  const { account, a, b, project, label } = await twoPhones()
  const [other, gone] = [await b.create('projects', { name: 'Other' }), await b.create('labels', { project_id: project })]
  await b.sync()
  await a.sync()
  await a.remove('projects', project)
  await b.edit('labels', label, { project_id: other })
  await b.remove('labels', gone)
  await b.sync({ beforePush: () => a.sync() })
  const { labels } = await account.converge()
  assert.deepEqual([Object.keys(labels), labels[label].project_id], [[label], other])
})

test('the project is purged: what was kept is edited and made on, by a phone that was away, too', async () => {
  const { account, a, b, project, label, memo } = await twoPhones()
  await a.remove('projects', project)
  await a.sync()
  await b.edit('memos', memo, { text: 'Write' })
  const late = await b.create('memos', { text: 'Late', project_id: project })
  purge()
  await b.sync()
  assert.equal(b.traffic.pulled.experimentalStrategy, 'replacement')
  await a.edit('memos', memo, { created_at: 7 })
  const { projects, labels, memos } = await account.converge()
  assert.deepEqual([projects, labels[label].project_id], [{}, null])
  assert.deepEqual(new Set(Object.keys(memos)), new Set([memo, late]))
  assert.deepEqual([memos[memo].text, memos[memo].created_at], ['Write', 7])
  assert.deepEqual([memos[memo].project_id, memos[late].project_id], [project, project])
})

test('a label that was made offline under a purged project is refused by name, until it names another', async () => {
  const { account, a, b, project } = await twoPhones()
  await a.remove('projects', project)
  await a.sync()
  const late = await b.create('labels', { text: 'Late', project_id: project })
  purge()
  await assertRefused(b.sync(), 422, 'unknown_parent')
  await b.edit('labels', late, { project_id: null })
  const { labels } = await account.converge()
  assert.deepEqual([Object.keys(labels).length, labels[late].project_id], [2, null])
})
