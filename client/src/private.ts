/** What of the app's work no server is to have: tables and columns of the phone's own, for good; drafts, until
 * they are done. */

import { idOf, type Changes, type RawRecord } from './changes.js'
import type { Database } from './watermelon.js'

/** Whether a record is to stay on this phone for now. `record` has all its columns, those of the phone's own, too. */
export type IsDraft = (table: string, record: RawRecord) => boolean

export interface Shared {
  /** What is to be pushed; the lists that it was made of are as they were. */
  changes: Changes
  /** By table: what stays unsynced. */
  held: Record<string, string[]>
}

export class Private {
  private readonly tables = new Set<string>()
  private readonly columns = new Map<string, Set<string>>()

  /** `names`: `table`, or `table.column`. */
  constructor(
    names: readonly string[] = [],
    private readonly isDraft: IsDraft = () => false,
  ) {
    for (const name of names) {
      const [table, column] = name.split('.') as [string, string | undefined]
      if (column === undefined) this.tables.add(table)
      else this.columns.set(table, (this.columns.get(table) ?? new Set()).add(column))
    }
  }

  /** The tables that a server may have. */
  sharedTables(database: Database): string[] {
    return Object.keys(database.schema.tables).filter((table) => !this.tables.has(table))
  }

  isShared(table: string, column: string): boolean {
    return !this.tables.has(table) && !this.columns.get(table)?.has(column)
  }

  /** A draft that no server has yet holds back what belongs to it. */
  share(database: Database, all: Changes): Shared {
    const drafts = this.drafts(database, all)
    const changes: Changes = {}
    const held: Record<string, string[]> = {}
    for (const [table, { created, updated, deleted }] of Object.entries(all)) {
      if (this.tables.has(table)) continue
      const ids = drafts.get(table) ?? new Set()
      const isDone = (raw: RawRecord) => !ids.has(idOf(raw))
      const stripped = (raws: RawRecord[]) => raws.filter(isDone).map((raw) => this.stripped(table, raw))
      const edited = stripped(updated).filter(({ _changed }) => _changed !== NOTHING)
      changes[table] = { created: stripped(created), updated: edited, deleted }
      if (ids.size) held[table] = [...ids]
    }
    return { changes, held }
  }

  private drafts(database: Database, all: Changes): Map<string, Set<string>> {
    const drafts = new Map<string, Set<string>>()
    const news = new Set<string>() // drafts that are no server's, as `table/id`
    const hold = ({ table, raw }: Edited) => {
      drafts.set(table, (drafts.get(table) ?? new Set()).add(idOf(raw)))
      if (raw['_status'] === 'created') news.add(`${table}/${idOf(raw)}`)
    }
    const isChild = ({ table, raw }: Edited) =>
      parentsOf(database, table).some(([parent, key]) => news.has(`${parent}/${String(raw[key])}`))
    let rest = editedOf(all)
    let found = rest.filter(({ table, raw }) => this.isDraft(table, raw))
    while (found.length) {
      found.forEach(hold)
      const falls = new Set(found)
      rest = rest.filter((one) => !falls.has(one))
      found = rest.filter(isChild)
    }
    return drafts
  }

  /** Without the phone's own columns; `_changed` is `NOTHING` where nothing else was edited. */
  private stripped(table: string, raw: RawRecord): RawRecord {
    const own = this.columns.get(table)
    if (!own) return raw
    const kept = Object.entries(raw).filter(([name]) => !own.has(name))
    const edited = String(raw['_changed'] ?? '').split(',')
    const shared = edited.filter((name) => !own.has(name))
    const isAllOwn = edited[0] !== '' && shared.length === 0
    return { ...Object.fromEntries(kept), _changed: isAllOwn ? NOTHING : shared.join(',') }
  }
}

const NOTHING = Symbol('nothing')

interface Edited {
  table: string
  raw: RawRecord
}

function editedOf(all: Changes): Edited[] {
  return Object.entries(all).flatMap(([table, { created, updated }]) =>
    [...created, ...updated].map((raw) => ({ table, raw })),
  )
}

type Association = { type: string; key?: string }

/** Its parents' tables, and the columns that name them: by the model's `associations`. */
export function parentsOf(database: Database, table: string): [string, string][] {
  const { associations = {} } = database.get(table).modelClass as { associations?: Record<string, Association> }
  return Object.entries(associations).flatMap(([parent, { type, key }]) =>
    type === 'belongs_to' && key ? [[parent, key] as [string, string]] : [],
  )
}
