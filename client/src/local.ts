/** What is kept beside the records in the app's own database: whose they are, and how new. */

import { OtherAccountError } from './errors.js'
import type { Guests } from './guests.js'
import type { Private } from './private.js'
import type { Waiting } from './waiting.js'
import type { Database, Watermelon } from './watermelon.js'

const OWNER = 'melon_sync_account'
const ADOPTING = 'melon_sync_adopting'
const EMPTIED = 'melon_sync_emptied'
// WatermelonDB's own
const LAST_PULLED_AT = '__watermelon_last_pulled_at'
const LAST_PULLED_SCHEMA = '__watermelon_last_pulled_schema_version'

/** Notes that the database is this account's. A database without records, which was never pulled into,
 * is anybody's. Throws `OtherAccountError`; `adopt` takes over one that something else has synced, or in
 * which somebody may have worked who signed in here and never synced, and `'other_account'` another one's. That of
 * a guest who has signed in to this account since goes along unasked. */
export async function claim(
  database: Database,
  userId: string,
  { adopt, waiting, guests, own }: Claiming,
): Promise<void> {
  const owner = await database.adapter.getLocal(OWNER)
  if (owner === userId) return
  const isTakenOver = adopt === 'other_account' || (Boolean(owner) && (await guests.adopt(String(owner), userId)))
  const isNew = (await getLastPulledAt(database)) === null
  const isAnybodys = isNew && (await isEmpty(database, own))
  if (owner && !isAnybodys && !isTakenOver) throw new OtherAccountError('other_account')
  const isDoubtful = !isNew || (!isAnybodys && (await waiting.hasOthers(userId)))
  if (!owner && isDoubtful && !adopt) throw new OtherAccountError('unknown_account')
  if (!isNew) await beginAdopting(database)
  await database.adapter.setLocal(OWNER, userId)
  await waiting.remove(userId)
}

interface Claiming {
  adopt: boolean | 'other_account'
  waiting: Waiting
  guests: Guests
  own: Private
}

/** Throws `OtherAccountError` where the database was reset since it was claimed. Once WatermelonDB's sync
 * has begun it sees to that itself. */
export async function ensureOwner(database: Database, userId: string): Promise<void> {
  const isTheirs = (await database.adapter.getLocal(OWNER)) === userId
  if (!isTheirs) throw new OtherAccountError('unknown_account')
}

/** Its clock is another server's, or another account's, and what it holds as synced nobody here has had. In
 * this order: cut off in between, it is told what it lacks, and nothing is taken for uploaded. */
export async function beginAdopting(database: Database): Promise<void> {
  await database.adapter.setLocal(ADOPTING, 'yes')
  await database.adapter.removeLocal(LAST_PULLED_SCHEMA)
  await database.adapter.removeLocal(LAST_PULLED_AT)
}

export async function isAdopting(database: Database): Promise<boolean> {
  return Boolean(await database.adapter.getLocal(ADOPTING))
}

/** What was to be uploaded is marked so, each record by itself. */
export function endAdopting(database: Database): Promise<void> {
  return database.adapter.removeLocal(ADOPTING)
}

/** The sync clock that the database has reached, in ms; null before its first pull. */
export async function getLastPulledAt(database: Database): Promise<number | null> {
  return Number(await database.adapter.getLocal(LAST_PULLED_AT)) || null
}

/** How much work no server has: records, edits and deletions, by table. Within a reader or a writer. */
export async function unsyncedCounts(
  database: Database,
  { Q }: Pick<Watermelon, 'Q'>,
  own: Private,
): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const table of own.sharedTables(database)) {
    const edited = database.get(table).query(Q.where('_status', Q.notEq('synced')))
    const deleted = await database.adapter.getDeletedRecords(table)
    const count = (await edited.fetchCount()) + deleted.length
    if (count) counts[table] = count
  }
  return counts
}

/** Whether no table that a server may have holds a record, not even one that is to be deleted there. */
export async function isEmpty(database: Database, own: Private): Promise<boolean> {
  for (const table of own.sharedTables(database)) {
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
    if (isThere && push.to > push.from) await database.adapter.setLocal(LAST_PULLED_AT, String(push.to))
  }, 'melon-sync-fastForward')
}

export interface Pushed {
  /** `lastPulledAt` of the push, and the clock after it, in ms. */
  from: number
  to: number
}

/** Everything of it is gone from here; called in a writer. LokiJS fails to delete a database that it saves at
 * this moment, and the app has none then; where it has more to save, it waits. */
export async function emptied(database: Database): Promise<void> {
  await database.adapter.setLocal(EMPTIED, 'yes')
  await database.unsafeResetDatabase()
}
