/** Rights that were taken away: the app is told before anything goes from this phone for it.
 *
 * A pull says which records are gone, and not why. So the spaces that the account is in are asked for behind
 * it, whenever its clock has moved (whoever joins, leaves or gets another role moves it), and compared with those
 * of the sync before. Where one is missing the pull is asked for again: the first one may have come just before.
 */

import { idOf, type Changes, type RawRecord } from './changes.js'
import { parentsOf, type Private } from './private.js'
import type { PullAnswer } from './pull.js'
import type { Role, Space } from './spaces.js'
import { shown, type Database, type TableSchema } from './watermelon.js'

export interface LostSpace {
  id: string
  name: string
  /** Until now. */
  role: Role
  /** From now on: `reader` may write no more, null is no member any more. */
  now: 'reader' | null
}

/** What is on this phone alone, and is not going to be stored. */
export interface UnsyncedRecord {
  table: string
  id: string
  /** The server has never had it. */
  isNew: boolean
  /** Its columns as they are here. */
  record: RawRecord
}

export interface LostAccess {
  spaces: LostSpace[]
  unsynced: UnsyncedRecord[]
}

/** Awaited: nothing goes before it is done, and if it throws nothing goes, the sync fails with its error, and
 * the next one calls again. */
export type OnAccessLost = (lost: LostAccess) => Promise<void> | void

/** As much of a space as is kept between two syncs. */
type Known = Pick<Space, 'id' | 'name' | 'role'>

interface Watched {
  database: Database
  own: Private
  list: () => Promise<Space[]>
  onAccessLost: OnAccessLost
}

const KNOWN = 'melon_sync_spaces' // in the database, which is one account's
const SPACE = 'space_id'

/** What a pull since `lastPulledAt` answers, and the spaces to keep once that is applied; null: as they are. The app
 * has been told by then. Throws what `ask`, `list` and `onAccessLost` do. */
export async function watchedPull(
  lastPulledAt: number | null | undefined,
  ask: () => Promise<PullAnswer>,
  watched: Watched,
): Promise<{ answer: PullAnswer; spaces: Known[] | null }> {
  const before = lastPulledAt ? await knownSpaces(watched.database) : null
  for (let lost: LostSpace[] = []; ; ) {
    const answer = await ask()
    if (before && lost.length === 0 && answer.timestamp === lastPulledAt) return { answer, spaces: null }
    const spaces = await watched.list()
    const found = lostSpaces(before ?? [], spaces)
    if (JSON.stringify(found) === JSON.stringify(lost)) {
      if (lost.length) await tell(watched, lost, answer.changes)
      return { answer, spaces }
    }
    lost = found
  }
}

export function keepSpaces(database: Database, spaces: readonly Known[]): Promise<void> {
  const kept = spaces.map(({ id, name, role }) => ({ id, name, role }))
  return database.adapter.setLocal(KNOWN, JSON.stringify(kept))
}

async function knownSpaces(database: Database): Promise<Known[] | null> {
  const text = await database.adapter.getLocal(KNOWN)
  return text ? (JSON.parse(text) as Known[]) : null
}

async function tell(watched: Watched, spaces: LostSpace[], changes: Changes): Promise<void> {
  await watched.onAccessLost({ spaces, unsynced: await unsyncedOf(watched, spaces, changes) })
}

/** What the account may no longer read, or no longer write. */
function lostSpaces(before: readonly Known[], now: readonly Known[]): LostSpace[] {
  const roles = new Map(now.map(({ id, role }) => [id, role]))
  return before.flatMap(({ id, name, role }): LostSpace[] => {
    const next = roles.get(id)
    if (next === undefined) return [{ id, name, role, now: null }]
    return next === 'reader' && role !== 'reader' ? [{ id, name, role, now: next }] : []
  })
}

/** New records and edits that nobody else has: those that are in these spaces here, and those that the pull
 * deletes, who may have been moved out of one here. */
async function unsyncedOf(
  { database, own }: Watched,
  spaces: readonly LostSpace[],
  changes: Changes,
): Promise<UnsyncedRecord[]> {
  const all = new Map<string, Map<string, RawRecord>>()
  for (const table of own.sharedTables(database)) {
    const raws: RawRecord[] = await database.get(table).query().unsafeFetchRaw()
    all.set(table, new Map(raws.map((raw) => [idOf(raw), raw])))
  }
  const isLeft = spaces.some(({ now }) => now === null)
  const isInside = insideOf(new Set(spaces.map(({ id }) => id)), database, all)
  return [...all].flatMap(([table, raws]) => {
    const gone = new Set(isLeft ? changes[table]?.deleted : [])
    const isUnsynced = (raw: RawRecord) => raw['_status'] !== 'synced' && (gone.has(idOf(raw)) || isInside(table, raw))
    const schema = database.schema.tables[table] as TableSchema
    return [...raws.values()].filter(isUnsynced).map((raw) => unsynced(table, raw, schema))
  })
}

/** By the record's own `space_id`, or that of what it belongs to. */
function insideOf(ids: ReadonlySet<unknown>, database: Database, all: Map<string, Map<string, RawRecord>>) {
  const isInside = (table: string, raw: RawRecord, seen: readonly RawRecord[] = []): boolean => {
    if (ids.has(raw[SPACE])) return true
    return parentsOf(database, table).some(([above, key]) => {
      const parent = all.get(above)?.get(String(raw[key]))
      return parent !== undefined && !seen.includes(parent) && isInside(above, parent, [...seen, raw])
    })
  }
  return isInside
}

function unsynced(table: string, raw: RawRecord, schema: TableSchema): UnsyncedRecord {
  const values = shown(raw, schema)
  const names = ['id', ...schema.columnArray.map(({ name }) => name)]
  const record = Object.fromEntries(names.map((name) => [name, values[name]]))
  return { table, id: idOf(raw), isNew: raw['_status'] === 'created', record }
}
