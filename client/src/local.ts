/** What is kept beside the records in the app's own database: whose they are, and how new. */

import type { Database } from '@nozbe/watermelondb'
import { getLastPulledAt, setLastPulledAt } from '@nozbe/watermelondb/sync/impl/index.js'
import { OtherAccountError } from './errors.js'
import type { Waiting } from './waiting.js'

const OWNER = 'melon_sync_account'

/** Notes that the database is this account's. A database without records, which was never pulled into,
 * is anybody's. Throws `OtherAccountError`; `adopt` takes over one that something else has synced, or in
 * which somebody may have worked who signed in here and never synced. */
export async function claim(
  database: Database,
  userId: string,
  { adopt, waiting }: { adopt: boolean; waiting: Waiting },
): Promise<void> {
  const owner = await database.adapter.getLocal(OWNER)
  if (owner === userId) return
  const isNew = (await getLastPulledAt(database)) === null
  const isAnybodys = isNew && (await isEmpty(database))
  if (owner && !isAnybodys) throw new OtherAccountError('other_account')
  const isDoubtful = !isNew || (!isAnybodys && (await waiting.hasOthers(userId)))
  if (!owner && isDoubtful && !adopt) throw new OtherAccountError('unknown_account')
  await database.adapter.setLocal(OWNER, userId)
  await waiting.remove(userId)
}

/** Whether no table holds a record, not even one that is to be deleted on the server. */
export async function isEmpty(database: Database): Promise<boolean> {
  for (const table of Object.keys(database.schema.tables)) {
    if ((await database.get(table).query().fetchCount()) > 0) return false
    if ((await database.adapter.getDeletedRecords(table)).length > 0) return false
  }
  return true
}

/** Sets the sync clock from `from` on to `to`, after a push that the server says has left nothing to
 * pull (contract push 7). Not if the clock is another one by now. Should the app die just before,
 * the next pull brings what was pushed once more, and changes nothing. */
export async function fastForward(database: Database, push: Pushed): Promise<void> {
  return database.write(async () => {
    const isThere = (await getLastPulledAt(database)) === push.from
    if (isThere && push.to > push.from) await setLastPulledAt(database, push.to)
  }, 'melon-sync-fastForward')
}

export interface Pushed {
  /** `lastPulledAt` of the push, and the clock after it, in ms. */
  from: number
  to: number
}
