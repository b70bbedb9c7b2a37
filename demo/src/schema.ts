// The tables of docs/stock-client.md, and their models without decorators: no build plugin is needed.
import { appSchema, Model, tableSchema } from '@nozbe/watermelondb'
import { addColumns, schemaMigrations } from '@nozbe/watermelondb/Schema/migrations'

const times = [
  { name: 'created_at', type: 'number' as const },
  { name: 'updated_at', type: 'number' as const },
]

const SPACE = { name: 'space_id', type: 'string' as const, isOptional: true }

export const schema = appSchema({
  version: 2,
  tables: [
    tableSchema({
      name: 'projects',
      columns: [
        { name: 'name', type: 'string' },
        { name: 'description', type: 'string', isOptional: true },
        SPACE,
        ...times,
      ],
    }),
    tableSchema({
      name: 'tasks',
      columns: [
        { name: 'title', type: 'string' },
        { name: 'description', type: 'string', isOptional: true },
        { name: 'is_completed', type: 'boolean' },
        { name: 'project_id', type: 'string', isIndexed: true },
        ...times,
      ],
    }),
  ],
})

/** For a browser that had the demo open before lists could be shared. */
export const migrations = schemaMigrations({
  migrations: [{ toVersion: 2, steps: [addColumns({ table: 'projects', columns: [SPACE] })] }],
})

/** WatermelonDB stamps the records of a model that has these two. */
class Timestamped extends Model {
  get createdAt(): Date {
    return new Date(this._getRaw('created_at') as number)
  }

  get updatedAt(): Date {
    return new Date(this._getRaw('updated_at') as number)
  }
}

export class Project extends Timestamped {
  static override table = 'projects'
  static override associations = {
    tasks: { type: 'has_many' as const, foreignKey: 'project_id' },
  }

  get name(): string {
    return this._getRaw('name') as string
  }

  setName(name: string): void {
    this._setRaw('name', name)
  }

  /** null: the list is the account's own. */
  get spaceId(): string | null {
    return this._getRaw('space_id') as string | null
  }

  setSpace(id: string): void {
    this._setRaw('space_id', id)
  }
}

/** What a visitor may change of a task. */
export type TaskValues = { title: string; note: string; isDone: boolean }

export class Task extends Timestamped {
  static override table = 'tasks'
  static override associations = {
    projects: { type: 'belongs_to' as const, key: 'project_id' },
  }

  get values(): TaskValues {
    return {
      title: this._getRaw('title') as string,
      note: (this._getRaw('description') as string | null) ?? '',
      isDone: this._getRaw('is_completed') as boolean,
    }
  }

  /** Inside a `prepareCreate`; `createdAt` in ms. */
  begin(title: string, projectId: string, createdAt: number): void {
    this._setRaw('title', title)
    this._setRaw('project_id', projectId)
    this._setRaw('created_at', createdAt)
  }

  /** Inside an `update`; the columns that are not named stay as they are. */
  assign({ title, note, isDone }: Partial<TaskValues>): void {
    if (title !== undefined) this._setRaw('title', title)
    if (note !== undefined) this._setRaw('description', note || null)
    if (isDone !== undefined) this._setRaw('is_completed', isDone)
  }

  /** What the server has not seen: `new`, or columns (each edit is one of `updated_at`, too); null
   * when it has seen all. */
  get unsynced(): string | null {
    if (this._raw._status === 'synced') return null
    if (this._raw._status === 'created') return 'new'
    const columns = this._raw._changed.split(',').filter((name) => name !== 'updated_at')
    return columns.join(', ')
  }
}
