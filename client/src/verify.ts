/** `verify(database)`: does this device hold what the server holds? (docs/verify.md) */

import { verdictAnswer } from './answers.js'
import type { Api } from './api.js'
import type { RawRecord } from './changes.js'
import { tableChecksum } from './checksum.js'
import { getLastPulledAt } from './local.js'
import type { SyncOptions } from './sync.js'
import type { Private } from './private.js'
import { shown, type Database, type TableSchema } from './watermelon.js'

/** With the options of the syncs that it makes. */
export interface VerifyOptions extends SyncOptions {
  /** Put a device that differs right: what the server has not had is uploaded (`resend`), what both have is
   * the server's, what it has deleted goes. */
  repair?: boolean
}

export interface VerifyResult {
  /** null: not to be told now, see `reason`. */
  identical: boolean | null
  /** `unsynced`: the device has what it could not push. `changing`: others kept changing the account. */
  reason: 'unsynced' | 'changing' | null
  /** By table, what this device and the server hold; empty where `identical` is null. */
  tables: Record<string, TableVerdict>
  /** A difference was found, and both sides given what they lacked; `identical` is what was found after it. */
  repaired: boolean
}

export interface TableVerdict {
  identical: boolean
  here: Contents
  server: Contents
}

export interface Contents {
  count: number
  checksum: number
}

export type Held = Record<string, Contents & { columns: string[] }>
export type Verdict = Pick<VerifyResult, 'identical' | 'tables'>

/** What the database holds in sync, and since when; null when something is left to push. */
export async function heldContents(database: Database, own: Private) {
  return database.read(async () => {
    const lastPulledAt = await getLastPulledAt(database)
    const tables: Held = {}
    for (const name of own.sharedTables(database)) {
      const schema = database.schema.tables[name] as TableSchema
      const columns = schema.columnArray.map((column) => column.name)
      const shared = columns.filter((column) => own.isShared(name, column))
      const contents = await contentsOf(database, name, schema, shared)
      if (contents === null) return null
      tables[name] = contents
    }
    return { lastPulledAt, tables }
  }, 'melon-sync-verify')
}

/** The server's verdict. Throws `ValidationError` for a table or column that it does not know. */
export async function askVerdict(
  api: Api,
  as: string,
  held: { lastPulledAt: number | null; tables: Held },
  signal?: AbortSignal,
): Promise<Verdict> {
  const call = { method: 'POST', path: '/sync/verify', body: held, as, repeat: 'always' } as const
  const text = await api.signed({ ...call, signal })
  const answer = verdictAnswer(text, Object.keys(held.tables)) as unknown as Answer
  const tables = Object.entries(answer.tables).map(([name, { identical, count, checksum }]) => {
    const here = { count: held.tables[name]?.count ?? 0, checksum: held.tables[name]?.checksum ?? 0 }
    return [name, { identical, here, server: { count, checksum } }] as const
  })
  return { identical: answer.identical, tables: Object.fromEntries(tables) }
}

interface Answer {
  identical: boolean | null
  tables: Record<string, Contents & { identical: boolean }>
}

/** Raw, without a model for each record; SQLite's 0 and 1 become booleans again. */
async function contentsOf(database: Database, name: string, schema: TableSchema, columns: string[]) {
  const found: RawRecord[] = await database.get(name).query().unsafeFetchRaw()
  const records = found.map((raw) => shown(raw, schema))
  const isSynced = records.every((raw) => raw['_status'] === 'synced')
  if (!isSynced || (await database.adapter.getDeletedRecords(name)).length > 0) return null
  return { columns, count: records.length, checksum: tableChecksum(records, columns) }
}
