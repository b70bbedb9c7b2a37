// What a phone stores: a WatermelonDB of its own in the browser's IndexedDB.
import { Database, Q } from '@nozbe/watermelondb'
import LokiJSAdapter from '@nozbe/watermelondb/adapters/lokijs'
import { Disk } from './disk'
import { migrations, Project, schema, Task, type TaskValues } from './schema'

const SAVE_MS = 100 // between an edit and the disk
const TABLES = ['projects', 'tasks'] as const

/** A task as the screen shows it; `unsynced`: what of it the server has not seen, null: nothing. */
export type Row = TaskValues & { id: string; unsynced: string | null }

export type List = { id: string; name: string; isShared: boolean }

/** The record was deleted, by a sync in the middle of an edit. */
export class Gone extends Error {}

export class Store {
  readonly database: Database
  /** Why nothing of it can be read or written. */
  unreadable: Error | null = null

  /** `onTrouble` hears what the browser's storage complains of. */
  constructor(key: string, onTrouble: (error: Error) => void) {
    const extraLokiOptions = { autosaveInterval: SAVE_MS, adapter: new Disk() }
    const adapter = new LokiJSAdapter({
      dbName: key,
      schema,
      migrations,
      useWebWorker: false,
      useIncrementalIndexedDB: true,
      extraLokiOptions,
      onSetUpError: (error) => {
        this.unreadable = error
        onTrouble(error)
      },
      onQuotaExceededError: onTrouble,
    })
    this.database = new Database({ adapter, modelClasses: [Project, Task] })
  }

  /** Calls `look` now, and after every change. */
  watch(look: () => unknown): void {
    this.database.withChangesForTables([...TABLES]).subscribe(look)
  }

  /** All living tasks, the oldest first. */
  async rows(): Promise<Row[]> {
    const tasks = await this.tasks.query().fetch()
    tasks.sort((a, b) => +a.createdAt - +b.createdAt || (a.id < b.id ? -1 : 1))
    return tasks.map((task) => ({ id: task.id, ...task.values, unsynced: task.unsynced }))
  }

  /** How many records and deletions the server has not seen. */
  async waiting(): Promise<number> {
    const isUnsynced = Q.where('_status', Q.notEq('synced'))
    const counts = TABLES.map(async (table) => {
      const edited = await this.database.get(table).query(isUnsynced).fetchCount()
      return edited + (await this.database.adapter.getDeletedRecords(table)).length
    })
    return (await Promise.all(counts)).reduce((sum, count) => sum + count)
  }

  /** The clock of the last pull; null: never pulled. */
  lastPulledAt(): Promise<string | null> {
    return this.database.adapter.getLocal('__watermelon_last_pulled_at').then((at) => at ?? null)
  }

  /** Whether this phone has a list to put tasks into. */
  async hasList(): Promise<boolean> {
    return (await this.projects.query().fetchCount()) > 0
  }

  /** The list that is shown; null: this phone has none. */
  async list(): Promise<List | null> {
    const [project] = await this.projects.query().fetch()
    if (!project) return null
    return { id: project.id, name: project.name, isShared: project.spaceId !== null }
  }

  /** Moves it, with its tasks, into the space of this id. */
  moveList(id: string, spaceId: string): Promise<void> {
    return this.database.write(async () => {
      const [project] = await this.projects.query(Q.where('id', id)).fetch()
      if (!project) throw new Gone()
      if (project.spaceId !== spaceId) await project.update(() => project.setSpace(spaceId))
    })
  }

  /** A project with tasks of these titles. */
  createList(name: string, titles: string[]): Promise<void> {
    return this.database.write(async () => {
      const project = this.projects.prepareCreate((it) => it.setName(name))
      const now = Date.now()
      const tasks = titles.map((title, place) => this.prepareTask(title, project.id, now + place))
      await this.database.batch(project, ...tasks)
    })
  }

  add(title: string): Promise<void> {
    return this.database.write(async () => {
      const [project] = await this.projects.query().fetch()
      if (!project) throw new Gone()
      await this.database.batch(this.prepareTask(title, project.id, Date.now()))
    })
  }

  /** Throws Gone. */
  edit(id: string, values: Partial<TaskValues>): Promise<void> {
    return this.database.write(async () => {
      const task = await this.find(id)
      await task.update(() => task.assign(values))
    })
  }

  /** Throws Gone. */
  remove(id: string): Promise<void> {
    return this.database.write(async () => (await this.find(id)).markAsDeleted())
  }

  /** Nothing is left; the page has to be loaded anew. */
  empty(): Promise<void> {
    return this.database.write(() => this.database.unsafeResetDatabase())
  }

  private prepareTask(title: string, projectId: string, createdAt: number): Task {
    return this.tasks.prepareCreate((task) => task.begin(title, projectId, createdAt))
  }

  private async find(id: string): Promise<Task> {
    const [task] = await this.tasks.query(Q.where('id', id)).fetch()
    if (!task) throw new Gone()
    return task
  }

  private get projects() {
    return this.database.get<Project>('projects')
  }

  private get tasks() {
    return this.database.get<Task>('tasks')
  }
}
