/** What this device holds and the server does not is marked to be uploaded; nothing is dropped. Of a record
 * that both have the newer one counts, by its `updated_at`.
 *
 * For a database that something else has synced (`adopt`), one that differs (`verify` with `repair`), and
 * `resend`. The marks are WatermelonDB's own: a sync that is cut off goes on with what is left.
 */

import { idOf, type Changes, type RawRecord, type TableChanges } from './changes.js'
import { markUnsynced, type Marked } from './marks.js'
import type { Private } from './private.js'
import type { Database } from './watermelon.js'

export interface Reconciled {
  /** The full set of the server, as news for this device. */
  changes: Changes
  /** How many records are to be uploaded again. */
  resent: number
}

/** `full`: all that lives on the server. What this device has had comes under `updated`: a record that was
 * deleted here, and is told as `created`, would live again. What the server has deleted it says itself,
 * when the record is pushed (contract push 3). */
export async function reconcile({ database, Q }: Marked, own: Private, full: Changes): Promise<Reconciled> {
  const changes = { ...full }
  let resent = 0
  for (const table of own.sharedTables(database)) {
    const there = full[table] ?? { created: [], updated: [], deleted: [] }
    const held = await heldIds(database, table)
    changes[table] = asNews(there, held.all)
    const known = new Map([...there.created, ...there.updated].map((raw) => [idOf(raw), raw]))
    const created = held.synced.filter((raw) => !known.has(idOf(raw))).map(idOf)
    const updated = held.synced.filter((raw) => isNewer(raw, known.get(idOf(raw)))).map(idOf)
    const mark = () => markUnsynced({ database, Q }, table, { created, updated })
    await database.write(mark, 'melon-sync-resend')
    resent += created.length + updated.length
  }
  return { changes, resent }
}

function asNews({ created, updated, deleted }: TableChanges, held: Set<string>): TableChanges {
  const had = created.filter((raw) => held.has(idOf(raw)))
  const isNew = (raw: RawRecord) => !held.has(idOf(raw))
  return { created: created.filter(isNew), updated: [...updated, ...had], deleted }
}

/** After the server was restored from a backup: it has an older one. */
function isNewer({ updated_at: here }: RawRecord, server: RawRecord | undefined): boolean {
  const there = server?.['updated_at']
  return typeof here === 'number' && typeof there === 'number' && here > there
}

async function heldIds(database: Database, table: string) {
  const raws: RawRecord[] = await database.get(table).query().unsafeFetchRaw()
  const synced = raws.filter((raw) => raw['_status'] === 'synced')
  const deleted = await database.adapter.getDeletedRecords(table)
  return { all: new Set([...raws.map(idOf), ...deleted]), synced }
}
