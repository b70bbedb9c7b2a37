// The server's tables, as `flask sync schema` prints them, and models without decorators.
import { appSchema, Model, tableSchema } from '@nozbe/watermelondb'

const times = [
  { name: 'created_at', type: 'number' as const },
  { name: 'updated_at', type: 'number' as const },
]

export const schema = appSchema({
  version: 1,
  tables: [
    tableSchema({
      name: 'projects',
      columns: [
        { name: 'name', type: 'string' },
        { name: 'description', type: 'string', isOptional: true },
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

/** WatermelonDB stamps the records of a model that has these two. */
class Timed extends Model {
  get createdAt(): Date {
    return new Date(this._getRaw('created_at') as number)
  }

  get updatedAt(): Date {
    return new Date(this._getRaw('updated_at') as number)
  }

  get isUnsynced(): boolean {
    return this._raw._status !== 'synced'
  }
}

export class Project extends Timed {
  static override table = 'projects'
  static override associations = { tasks: { type: 'has_many' as const, foreignKey: 'project_id' } }

  get name(): string {
    return this._getRaw('name') as string
  }
}

export class Task extends Timed {
  static override table = 'tasks'
  static override associations = { projects: { type: 'belongs_to' as const, key: 'project_id' } }

  get title(): string {
    return this._getRaw('title') as string
  }

  get isCompleted(): boolean {
    return this._getRaw('is_completed') as boolean
  }

  get projectId(): string {
    return this._getRaw('project_id') as string
  }
}

export const modelClasses = [Project, Task]
