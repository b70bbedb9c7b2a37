// The server's database is lost and restored from a backup, while phones know more than it does.
// It does so to all accounts at once, so it wants a server of its own.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test as nodeTest } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Account, assertRefused } from './account.js'
import { expectComplaint } from './phone.js'

// The server cannot know what a phone has had since the backup, or has deleted.
expectComplaint('but it already exists locally')
expectComplaint("but it doesn't exist locally")

const PYTHON = process.env.MELON_PYTHON
const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const FILE = join(mkdtempSync(join(tmpdir(), 'melon-')), 'melon.sql.gz')

const run = (...command) => execFileSync(PYTHON, command, { cwd: ROOT })
const dump = () => run('deploy/backup.py', 'dump', FILE)
const loseAndRestore = () => {
  run('-m', 'tests.lose_tables')
  run('deploy/backup.py', 'restore', FILE)
}
const test = (name, work) => nodeTest(name, { skip: !PYTHON && 'needs MELON_PYTHON' }, work)

/** `resend`, as docs/operations.md prints it. */
async function printedResend() {
  const page = readFileSync(join(ROOT, 'docs', 'operations.md'), 'utf8')
  const [, code] = page.match(/```js resend\n(.*?)```/s)
  return (await import(`data:text/javascript,${encodeURIComponent(code)}`)).resend
}

/** Two phones, a backup, and then a project, an edit and a deletion that both know of. */
async function storyOfALoss() {
  const account = new Account()
  const { a, b, project, task } = await account.twoPhones()
  const unwanted = await a.create('tasks', { title: 'Unwanted', project_id: project })
  await a.sync()
  await b.sync()
  dump()
  const late = await a.create('projects', { name: 'After the backup' })
  const child = await a.create('tasks', { title: 'Its task', project_id: late })
  await a.edit('tasks', task, { title: 'Edited after the backup' })
  await a.remove('tasks', unwanted)
  await a.sync()
  await b.sync()
  loseAndRestore()
  return { account, a, b, project, task, unwanted, late, child }
}

test('a phone ahead of the restored server (pull 1) syncs on, and what it made offline is kept', async () => {
  const { a, b, project, late } = await storyOfALoss()
  const offline = await b.create('tasks', { title: 'Made offline', project_id: project })
  await a.edit('projects', project, { name: 'Edited offline' })
  for (const phone of [b, a, b]) await phone.sync()
  for (const phone of [a, b]) {
    const { projects, tasks } = await phone.records()
    assert.equal(projects[project].name, 'Edited offline')
    assert.equal(tasks[offline].title, 'Made offline')
    assert.equal(projects[late].name, 'After the backup') // here still, but not on the server
  }
})

test('the phones bring back what was lost, and then all hold the same', async () => {
  const { account, a, b, project, task, unwanted, late, child } = await storyOfALoss()
  const resend = await printedResend()
  const added = await b.create('tasks', { title: 'Under what was lost', project_id: late })
  await assertRefused(b.sync(), 422, 'unknown_parent')
  await a.sync()
  for (const phone of [b, a]) {
    await resend(phone.database, phone.client.pullChanges)
    await phone.sync()
  }
  for (const phone of [a, b]) await phone.sync({ replacement: true })
  const { projects, tasks } = await account.converge()
  assert.deepEqual(new Set(Object.keys(projects)), new Set([project, late]))
  assert.equal(tasks[task].title, 'Edited after the backup')
  assert.deepEqual([tasks[child].project_id, tasks[added].project_id], [late, late])
  assert.equal(tasks[unwanted].title, 'Unwanted') // deletions after the backup come undone
})

test('without that, a replacement takes from the phones what the server lost', async () => {
  const { account, a, b, project, task, late } = await storyOfALoss()
  for (const phone of [a, b]) await phone.sync({ replacement: true })
  const { projects, tasks } = await account.converge()
  assert.deepEqual([Object.keys(projects), projects[late]], [[project], undefined])
  assert.equal(tasks[task].title, 'Paint')
})
