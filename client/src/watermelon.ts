/** What this package uses of WatermelonDB, whichever it is: the one from npm, an older or newer one, a fork. */

export interface ColumnSchema {
  name: string
  type: 'string' | 'number' | 'boolean'
  isOptional?: boolean
}

export interface TableSchema {
  columnArray: ColumnSchema[]
  columns: Record<string, ColumnSchema>
}

/** A record as it is stored; `_raw` has its columns, too. */
export interface Model {
  readonly id: string
  _raw: { id: string; _status: string; _changed: string }
  prepareUpdate(update: (record: any) => void): any
  experimentalSubscribe(subscriber: (isDeleted: boolean) => void): () => void
}

export interface Query {
  fetch(): Promise<Model[]>
  fetchCount(): Promise<number>
  unsafeFetchRaw(): Promise<any[]>
}

/** Any WatermelonDB's `Database`. */
export interface Database {
  adapter: {
    underlyingAdapter: object
    getLocal(key: string): Promise<string | null | undefined>
    setLocal(key: string, value: string): Promise<void>
    removeLocal(key: string): Promise<void>
    getDeletedRecords(table: any): Promise<string[]>
    destroyDeletedRecords(table: any, ids: string[]): Promise<void>
  }
  schema: { tables: Record<string, TableSchema> }
  get(table: any): { query(...conditions: any[]): Query; modelClass: any }
  batch(...records: any[]): Promise<void>
  unsafeResetDatabase(): Promise<void>
  read<T>(work: () => Promise<T>, description?: string): Promise<T>
  write<T>(work: () => Promise<T>, description?: string): Promise<T>
}

/** What a WatermelonDB exports: `Q` from its main module, `synchronize` from its `sync`. */
export interface Watermelon {
  Q: {
    where(column: any, value: any): any
    oneOf(values: any[]): any
    notEq(value: any): any
  }
  synchronize(args: any): Promise<void>
}

/** What melon-sync hands to `synchronize`. */
export interface SyncArgs<Pull, Push> {
  database: Database
  pullChanges(args: Pull): Promise<object>
  pushChanges(args: Push): Promise<object>
  unsafeTurbo: boolean
  onWillApplyRemoteChanges(info: { remoteChangeCount: number }): Promise<void>
  conflictResolver?: unknown
  migrationsEnabledAtVersion?: number
}

/** `raw` as WatermelonDB shows it: SQLite has no booleans, and what is of another type than its column counts
 * as empty. */
export function shown(raw: Record<string, unknown>, { columnArray }: TableSchema): Record<string, unknown> {
  const values = columnArray.map((column) => [column.name, valueOf(raw[column.name], column)] as const)
  return { ...raw, ...Object.fromEntries(values) }
}

const EMPTY = { string: '', number: 0, boolean: false }

function valueOf(value: unknown, { type, isOptional }: ColumnSchema): unknown {
  if (type === 'boolean' && (value === 0 || value === 1)) return value === 1
  if (typeof value === type && (type !== 'number' || Number.isFinite(value))) return value || EMPTY[type]
  return isOptional ? null : EMPTY[type]
}
