/** WatermelonDB's own marks on a record, which say whether it is still to be pushed. */

import type { Changes, RawRecord } from './changes.js'
import type { Database, Model, Watermelon } from './watermelon.js'

const BATCH = 1_000 // records

/** A database, with what builds its queries. */
export interface Marked extends Pick<Watermelon, 'Q'> {
  database: Database
}

/** Marks as synced what the server has stored of `sent`, unless it was edited meanwhile, and forgets the
 * deletions. As WatermelonDB does after a push, whose time grows with the square of the records. */
export function markSynced(
  { database, Q }: Marked,
  sent: Changes,
  rejected: Record<string, string[]>,
): Promise<void> {
  return database.write(async () => {
    for (const [table, { created, updated, deleted }] of Object.entries(sent)) {
      const refused = new Set(rejected[table])
      const stored = [...created, ...updated].filter(({ id }) => !refused.has(id as string))
      const raws = new Map(stored.map((raw) => [raw['id'] as string, raw]))
      const isAsSent = ({ _raw }: Model) => isUnchanged(_raw as RawRecord, raws.get(_raw.id))
      await mark({ database, Q }, table, [...raws.keys()], { _status: 'synced', _changed: '' }, isAsSent)
      const gone = deleted.filter((id) => !refused.has(id))
      if (gone.length) await database.adapter.destroyDeletedRecords(table, gone)
    }
  }, 'melon-sync-markSynced')
}

/** Marks what is synced as to be pushed whole: as made here, or as edited here in all columns. Within a
 * writer. */
export async function markUnsynced(
  { database, Q }: Marked,
  table: string,
  { created, updated }: { created: string[]; updated: string[] },
): Promise<void> {
  const isSynced = ({ _raw }: Model) => _raw._status === 'synced'
  const _changed = Object.keys(database.schema.tables[table]?.columns ?? {}).join(',')
  await mark({ database, Q }, table, created, { _status: 'created', _changed: '' }, isSynced)
  await mark({ database, Q }, table, updated, { _status: 'updated', _changed }, isSynced)
}

interface Marks {
  _status: 'created' | 'updated' | 'synced'
  _changed: string
}

async function mark(
  { database, Q }: Marked,
  table: string,
  ids: string[],
  marks: Marks,
  isMeant: (record: Model) => boolean,
): Promise<void> {
  for (let at = 0; at < ids.length; at += BATCH) {
    const some = Q.where('id', Q.oneOf(ids.slice(at, at + BATCH)))
    const found = await database.get(table).query(some).fetch()
    await database.batch(found.filter(isMeant).map((record) => withMarks(record, marks)))
  }
}

/** Its columns as they are: `prepareUpdate` alone would set `updated_at` to now. */
function withMarks(record: Model, marks: Marks): Model {
  const raw = { ...record._raw, ...marks }
  return record.prepareUpdate(() => {
    record._raw = raw
  })
}

/** In all that was sent; the phone's own columns are not. */
function isUnchanged(raw: RawRecord, sent: RawRecord | undefined): boolean {
  return sent !== undefined && Object.keys(sent).every((key) => key === '_changed' || raw[key] === sent[key])
}
