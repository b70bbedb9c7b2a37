// What the screens show, and what they can do; a screen listens to `subscribe` and reads `state`.
import type { Database } from '@nozbe/watermelondb'
import { NetworkError, SignedOutError, type Credentials, type SyncProgress } from 'melon-sync'
import { Accounts, type Account, type Platform } from './accounts'
import { Project, Task } from './schema'
import { sentence } from './words'

export interface TaskRow {
  id: string
  title: string
  isCompleted: boolean
  /** On this phone alone, as far as it knows. */
  isUnsynced: boolean
}

export interface List {
  id: string
  name: string
  tasks: TaskRow[]
}

export interface State {
  /** Whether it is known who was here last, and what they have. */
  isReady: boolean
  email: string | null
  /** Others whose lists are on this phone. */
  others: { slot: string; email: string }[]
  lists: List[]
  isSyncing: boolean
  /** Of a first sync: how many records have come. There is no total beforehand. */
  firstSync: number | null
  isOffline: boolean
  message: string | null
}

const NOBODY = { email: null, lists: [], isSyncing: false, firstSync: null, isOffline: false }

export class App {
  state: State = { ...NOBODY, isReady: false, others: [], message: null }
  private readonly accounts: Accounts
  private readonly listeners = new Set<() => void>()
  private account: Account | null = null
  private unwatch = () => {}

  constructor(platform: Platform) {
    this.accounts = new Accounts(platform)
  }

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener)
    return () => void this.listeners.delete(listener)
  }

  /** At the start: whoever was here last. What is on the phone shows before the network has answered. */
  resume = async (): Promise<void> => {
    await this.telling(async () => this.show(await this.accounts.last()))
    this.set({ isReady: true })
  }

  enter = (how: 'register' | 'login', form: Credentials): Promise<void> =>
    this.telling(async () => this.show(await this.accounts.enter(how, form)))

  /** To somebody else's lists on this phone, or to the sign-in. */
  switchTo = (slot: string | null): Promise<void> =>
    this.telling(async () => this.show(slot === null ? null : await this.accounts.switchTo(slot)))

  /** Whether signing out would lose something, if the lists are not kept. */
  hasUnsynced = async (): Promise<boolean> =>
    this.account !== null && this.account.client.hasUnsyncedChanges(this.account.database)

  leave = (keep: boolean): Promise<void> =>
    this.telling(async () => {
      const { account } = this
      if (!account) return
      this.unwatch() // nothing may look into a database that is being reset
      await this.accounts.leave(account, { keep })
      await this.show(null)
    })

  /** Whenever there may be news: at the start, after an edit, when the app comes to the front. */
  sync = async (): Promise<void> => {
    const { account } = this
    if (!account) return
    const tell = (change: Partial<State>) => this.account === account && this.set(change)
    const isFirst = this.state.lists.length === 0
    tell({ isSyncing: true, firstSync: isFirst ? 0 : null })
    const onProgress = (progress: SyncProgress) => {
      if (isFirst) tell({ firstSync: progress.records ?? 0 })
    }
    await this.telling(async () => {
      const { rejected } = await account.client.sync(account.database, { partial: true, onProgress })
      await this.look(account)
      const isRefused = rejected.length > 0
      tell({ isOffline: false, message: isRefused ? `${rejected.length} could not be saved.` : null })
    })
    tell({ isSyncing: false, firstSync: null })
  }

  addList = (name: string): Promise<void> =>
    this.write(async (database) => {
      await database.get<Project>('projects').create((it) => it._setRaw('name', name))
    })

  addTask = (listId: string, title: string): Promise<void> =>
    this.write(async (database) => {
      await database.get<Task>('tasks').create((task) => {
        task._setRaw('title', title)
        task._setRaw('project_id', listId)
      })
    })

  tick = (id: string, isCompleted: boolean): Promise<void> =>
    this.write(async (database) => {
      const task = await database.get<Task>('tasks').find(id)
      await task.update(() => task._setRaw('is_completed', isCompleted))
    })

  private async write(work: (database: Database) => Promise<void>): Promise<void> {
    const { account } = this
    if (!account) return
    await this.telling(() => account.database.write(() => work(account.database)))
    await this.sync()
  }

  private async show(account: Account | null): Promise<void> {
    this.unwatch()
    this.account = account
    const known = await this.accounts.known()
    const others = known.filter(({ slot }) => slot !== account?.slot)
    this.set({ ...NOBODY, email: account?.email ?? null, others, message: null })
    if (!account) return
    const look = () => void this.telling(() => this.look(account))
    const watched = account.database.withChangesForTables(['projects', 'tasks']).subscribe(look)
    this.unwatch = () => watched.unsubscribe()
    await this.look(account)
    this.set({ isReady: true })
    await this.sync()
  }

  private async look({ slot, database }: Account): Promise<void> {
    const projects = await database.get<Project>('projects').query().fetch()
    const tasks = await database.get<Task>('tasks').query().fetch()
    tasks.sort((a, b) => +a.createdAt - +b.createdAt)
    projects.sort((a, b) => +a.createdAt - +b.createdAt)
    const rowOf = ({ id, title, isCompleted, isUnsynced }: Task) => ({ id, title, isCompleted, isUnsynced })
    const lists = projects.map(({ id, name }) => {
      return { id, name, tasks: tasks.filter(({ projectId }) => projectId === id).map(rowOf) }
    })
    if (this.account?.slot === slot) this.set({ lists })
  }

  /** What goes wrong is told, in words; without a network it is no error. */
  private async telling(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (error instanceof NetworkError) return this.set({ isOffline: true, message: null })
      if (error instanceof SignedOutError) await this.show(null)
      this.set({ message: sentence(error) })
    }
  }

  private set(change: Partial<State>): void {
    this.state = { ...this.state, ...change }
    this.listeners.forEach((listen) => listen())
  }
}
