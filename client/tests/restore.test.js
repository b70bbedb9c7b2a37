// The server's database is lost and restored from a backup, while phones know more than it does (docs/operations.md).
// It does so to all accounts at once, so it wants a server of its own.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { SignedOutError } from 'melon-sync'
import { assertConverged, assertFails, expectComplaint, phones } from './support.js'

// The server cannot know what a phone has had since the backup.
expectComplaint('but it already exists locally')
expectComplaint("but it doesn't exist locally")
expectComplaint('previous pulled-at time was greater')

const PYTHON = process.env.MELON_PYTHON
const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const needed = { skip: !PYTHON && 'needs MELON_PYTHON' }
const run = (...command) => execFileSync(PYTHON, command, { cwd: ROOT })

/** Two phones, a backup, then a project, an edit and two pushes that both know of; and the loss. */
async function storyOfALoss() {
  const [a, b] = await phones(2)
  const old = await a.create('projects', { name: 'Old', updated_at: 1 })
  await a.sync()
  await b.sync()
  const file = join(mkdtempSync(join(tmpdir(), 'melon-')), 'melon.sql.gz')
  run('deploy/backup.py', 'dump', file)
  const late = await a.create('projects', { name: 'After the backup' })
  await a.sync()
  await a.edit('projects', old, { name: 'Edited after the backup', updated_at: 2 })
  await a.ageToken()
  await a.sync() // with a new pair of tokens
  await b.sync()
  run('-m', 'tests.lose_tables')
  run('deploy/backup.py', 'restore', file)
  return { a, b, old, late }
}

test('phones ahead of a restored server sync on, and verify with repair brings back what it lost', needed, async () => {
  const { a, b, old, late } = await storyOfALoss()
  const before = await a.lastPulledAt()
  const offline = await b.create('projects', { name: 'Made offline' })
  await b.sync()
  await a.sync()
  assert.ok((await a.lastPulledAt()) > before)
  for (const phone of [a, b]) {
    const { identical, repaired } = await phone.client.verify(phone.database, { repair: true })
    assert.deepEqual([identical, repaired], [true, phone === a])
  }
  const { projects } = await assertConverged(a, b)
  assert.deepEqual(new Set(Object.keys(projects)), new Set([old, late, offline]))
  assert.equal(projects[old].name, 'Edited after the backup')
})

test('a session that was refreshed after the backup is over: who signs in again goes on with all there is', needed, async () => {
  const { a, b, late } = await storyOfALoss()
  const offline = await a.create('projects', { name: 'Made offline' })
  await a.ageToken()
  await assertFails(a.sync(), SignedOutError)
  await a.client.login(a.credentials)
  assert.ok((await a.client.resend(a.database)).resent > 0)
  const { projects } = await assertConverged(a, b)
  assert.ok(projects[late] && projects[offline])
})
