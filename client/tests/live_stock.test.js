// docs/live.md, "Without melon-sync": its lines as printed, with the stock `synchronize`.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { newDatabase, phones, watermelon } from './support.js'

const { synchronize } = watermelon('/sync')
const page = readFileSync(new URL('../../docs/live.md', import.meta.url), 'utf8')
const [, lines] = /```js stock\n(.*?)```/s.exec(page)
const AsyncFunction = (async () => {}).constructor
const listen = new AsyncFunction('database', 'server', 'token', 'sync', lines)

test('the lines for the stock client', async () => {
  const [phone, tablet] = await phones(2)
  const database = newDatabase()
  const { access } = await phone.storedSession()
  const ask = async (path, body) => {
    const headers = { 'Content-Type': 'application/json', Authorization: `Bearer ${access}` }
    const answer = await fetch(`${process.env.MELON_URL}/api/v1${path}`, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
    })
    assert.ok(answer.ok)
    return answer.json()
  }
  let syncs = 0
  const sync = () => {
    syncs += 1
    return synchronize({
      database,
      pullChanges: ({ lastPulledAt }) => ask('/sync/pull', { lastPulledAt }),
      pushChanges: ({ changes, lastPulledAt }) => ask('/sync/push', { changes, lastPulledAt }),
    })
  }
  await sync()
  void listen(database, process.env.MELON_LIVE, async () => access, sync)
  for (let number = 1; number <= 3; number += 1) {
    await tablet.create('projects', { name: `Home ${number}` })
    await tablet.sync()
    for (let turn = 0; (await database.get('projects').query().fetchCount()) < number; turn += 1) {
      assert.ok(turn < 500, 'it never came')
      await sleep(20)
    }
  }
  assert.ok(syncs <= 4, `${syncs}`)
})

