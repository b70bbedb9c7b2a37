// Phones that were away for longer than the server remembers deletions (contract pull 7). It purges for
// all accounts at once, so it wants a server of its own.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { assertConverged, expectComplaint, phones } from './support.js'

const PYTHON = process.env.MELON_PYTHON
const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const COMMAND = ['-m', 'flask', '--app', 'wsgi', 'sync', 'purge', '--older-than', '0m']
const purge = () => execFileSync(PYTHON, COMMAND, { cwd: ROOT })
// A clock from before the account would be another server's (contract pull 1).
const EARLIER = `
from datetime import timedelta
from sqlalchemy import select
from melon_api.models.base import db
from melon_api.models.user import User
from wsgi import app
with app.app_context():
    for user in db.session.scalars(select(User)):
        user.created_at -= timedelta(days=9)
    db.session.commit()
`
const registeredEarlier = () => execFileSync(PYTHON, ['-c', EARLIER], { cwd: ROOT })
const needed = { skip: !PYTHON && 'needs MELON_PYTHON' }

async function away() {
  const [a, b] = await phones(2)
  const [gone, kept] = await a.createMany('projects', [{ name: 'Gone' }, { name: 'Kept' }])
  await a.sync()
  await b.sync()
  await a.remove('projects', gone)
  await a.sync()
  return { a, b, gone, kept }
}

test('who missed a purged deletion is replaced, page by page, and keeps its work', needed, async () => {
  const { a, b, gone, kept } = await away()
  purge()
  await b.edit('projects', kept, { name: 'Edited offline' })
  const made = await b.create('projects', { name: 'Made offline' })
  const others = await a.createMany('projects', [1, 2, 3, 4].map((n) => ({ name: `Project ${n}` })))
  await a.sync()
  registeredEarlier()
  const days = 3 * 24 * 60 * 60 * 1000
  await b.database.adapter.setLocal('__watermelon_last_pulled_at', String(Date.now() - days))
  expectComplaint('already exists locally') // b has had it for less than three days
  const pulls = b.network.count('/sync/pull')
  const { isReplacement, pushed } = await b.sync({ pageSize: 2 })
  assert.deepEqual([isReplacement, pushed], [true, 2])
  assert.equal(b.network.count('/sync/pull') - pulls, 3)
  const { projects } = await assertConverged(a, b)
  assert.deepEqual(new Set(Object.keys(projects)), new Set([kept, made, ...others]))
  assert.equal(projects[kept].name, 'Edited offline')
  assert.equal(projects[gone], undefined)
})

test('the deletion is purged between pull and push: 409, and the next round replaces', needed, async () => {
  const [a, b] = await phones(2)
  const [gone, kept] = await a.createMany('projects', [{ name: 'Gone' }, { name: 'Kept' }])
  await a.sync()
  await b.sync()
  await b.edit('projects', kept, { name: 'Edited' })
  b.network.on('/sync/push', async () => {
    await a.remove('projects', gone)
    await a.sync()
    purge()
  })
  const { rounds, isReplacement } = await b.sync()
  assert.deepEqual([rounds, isReplacement], [2, true])
  const { projects } = await assertConverged(a, b)
  assert.deepEqual(Object.keys(projects), [kept])
})
