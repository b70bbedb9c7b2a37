// What the tests of docs/adopting.md share.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const require = createRequire(import.meta.url)
const { setLastPulledAt } = require('@nozbe/watermelondb/sync/impl')
export const DAY_MS = 86_400_000

export async function printedRecipe() {
  const page = readFileSync(fileURLToPath(new URL('../../docs/adopting.md', import.meta.url)), 'utf8')
  const [, code] = page.match(/```js forget\n(.*?)```/s)
  return (await import(`data:text/javascript,${encodeURIComponent(code)}`)).forgetOldBackend
}

/** As after a sync with another backend. */
export async function markSynced({ database }, pulledAt) {
  for (const table of ['projects', 'tasks']) {
    const found = await database.get(table).query().fetch()
    for (const { _raw } of found) _raw._status = 'synced'
    await database.adapter.batch(found.map(({ _raw }) => ['update', table, { ..._raw }]))
  }
  await setLastPulledAt(database, pulledAt)
}
