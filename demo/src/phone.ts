// A phone: what it stores, its network and its sign-in, and what its screen shows of them.
import { signal } from '@preact/signals'
import type { Account } from './account'
import type { Json } from './exchange'
import { isAmong, Pushed } from './pushed'
import type { TaskValues } from './schema'
import { Refused, Session } from './session'
import { Store, type Row } from './store'
import { sync } from './sync'
import { Wire, type Method } from './wire'
import { Faster, sentence, told, type Lost, type Notice, type Result } from './words'

const ATTEMPTS = 4 // at a sync that meets faster phones
const AUTO_MS = 3_000
const isConflict = ({ code }: { code: string }) => code === 'sync_conflict'

export class Phone {
  readonly wire = new Wire()
  readonly rows = signal<Row[]>([])
  readonly waiting = signal(0)
  readonly hasList = signal<boolean | null>(null) // null: not looked yet
  readonly isBusy = signal(false)
  readonly syncs = signal(0) // that have ended, well or not
  /** By record: why the server did not take it at the last sync. */
  readonly refusals = signal<{ [id: string]: string }>({})
  readonly isAuto = signal(false)
  readonly notice = signal<Notice>({ mood: 'calm', text: 'Not synced since this page was opened.' })
  readonly store: Store
  private readonly session: Session
  private readonly pushed: Pushed
  private notBefore = 0 // when the server wants to be asked again, ms

  /** `key` names its database, its device_id, and what it keeps in localStorage. */
  constructor(
    readonly name: string,
    readonly key: string,
    account: Account,
  ) {
    this.session = new Session(this.wire, key, account)
    this.pushed = new Pushed(key)
    this.store = new Store(key, this.complain)
    this.store.watch(() => this.look().catch(this.complain))
    setInterval(() => this.syncByItself(), AUTO_MS)
  }

  /** Pull and push; how it went is the `notice`. */
  async sync(): Promise<void> {
    if (this.isBusy.value) return
    this.isBusy.value = true
    try {
      this.notice.value = told(await this.syncAndSay())
    } catch (error) {
      this.complain(error)
    } finally {
      await this.look().catch(this.complain) // nobody is told when pushed deletions are forgotten
      this.isBusy.value = false
      this.syncs.value++
    }
  }

  add = (title: string): Promise<void> => this.write(this.store.add(title))

  edit = (id: string, values: Partial<TaskValues>): Promise<void> =>
    this.write(this.store.edit(id, values))

  remove = (id: string): Promise<void> => this.write(this.store.remove(id))

  private async write(work: Promise<void>): Promise<void> {
    try {
      await work
    } catch (error) {
      this.complain(error)
    }
  }

  /** A call of this phone's account. Throws NoAnswer, Refused. */
  ask = (method: Method, path: string, body: Json = null): Promise<Json> =>
    this.session.call(path, body, method)

  say(mood: Notice['mood'], text: string): void {
    this.notice.value = { mood, text }
  }

  /** Where a right was taken away, what was refused for it is told as deleted by the next pull. */
  private async syncAndSay(): Promise<Result> {
    const list = await this.store.list()
    const unsynced = await this.store.waiting()
    const result = await this.syncUntilAccepted()
    const isGone = list?.isShared && (await this.store.list())?.id !== list.id
    if (!isGone) return result
    if (result.refused) await this.syncUntilAccepted()
    const lost: Lost = { name: list.name, unsynced }
    return { ...result, lost }
  }

  /** A conflict means that another phone pushed between our pull and our push (docs/api.md). */
  private async syncUntilAccepted(): Promise<Result> {
    for (let conflicts = 0; ; conflicts++) {
      try {
        const before = this.pushed.last
        const { log, refusals } = await sync(this.store.database, this.call)
        if (refusals.some(isConflict)) throw new Faster()
        this.refusals.value = Object.fromEntries(refusals.map(({ id, text }) => [id, text]))
        const { localChangeCount: pushed = 0, remoteChangeCount: got = 0 } = log
        const merged = log.resolvedConflicts?.filter(({ remote }) => !isAmong(before, remote)) ?? []
        const refused = refusals.length
        return { sent: pushed - refused, got, merged: merged.length, conflicts, refused }
      } catch (error) {
        const isFaster = error instanceof Faster || (error instanceof Refused && isConflict(error))
        if (!isFaster || conflicts + 1 === ATTEMPTS) throw error
      }
    }
  }

  private call = (path: string, body: Json): Promise<Json> => {
    if (path === '/sync/push') this.pushed.keep(body)
    return this.session.call(path, body)
  }

  private syncByItself(): void {
    const isFree = this.wire.isOnline.value && Date.now() >= this.notBefore
    if (this.isAuto.value && isFree) void this.sync()
  }

  private async look(): Promise<void> {
    this.rows.value = await this.store.rows()
    this.waiting.value = await this.store.waiting()
    this.hasList.value = await this.store.hasList()
  }

  /** Tell the visitor what did not go well. */
  complain = (error: unknown): void => {
    const seconds = error instanceof Refused ? error.answer.retryAfter : 0
    this.notBefore = Date.now() + seconds * 1000
    this.notice.value = { mood: 'bad', text: sentence(this.store.unreadable ?? error) }
  }
}
