// A phone: what it stores, its network and its sign-in, and what its screen shows of them.
import { effect, signal } from '@preact/signals'
import type { LiveState } from 'melon-sync/core'
import type { Account } from './account'
import type { Json } from './exchange'
import { listenFor, type Told } from './live'
import { isAmong, Pushed } from './pushed'
import type { TaskValues } from './schema'
import { Refused, Session } from './session'
import { Store, type Row } from './store'
import { sync } from './sync'
import { Wire, type Method } from './wire'
import { Faster, sentence, told, type Lost, type Notice, type Result } from './words'

const ATTEMPTS = 4 // at a sync that meets faster phones
const AGAIN_MS = 3_000 // after a sync that failed
const BEGINS_LIVE = new URLSearchParams(location.search).get('live') !== 'off'
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
  /** Whether it listens, and sends each edit at once. */
  readonly isLive = signal(BEGINS_LIVE)
  readonly isShown = signal(false) // another person's phone is not, at first
  readonly listens = signal<LiveState>('stopped')
  readonly notice = signal<Notice>({ mood: 'calm', text: 'Not synced since this page was opened.' })
  readonly store: Store
  private readonly session: Session
  private readonly pushed: Pushed
  private running: Promise<unknown> = Promise.resolve(null)
  private next: Promise<unknown> | null = null // the sync after it, that somebody waits for
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
    effect(() => {
      if (this.isLive.value && this.isShown.value && this.wire.isOnline.value) return this.listen()
    })
  }

  /** Pull and push, after the sync that is under way. How it went is the `notice`; returns what
   * failed, or null. */
  sync(): Promise<unknown> {
    this.next ??= this.running.then(() => {
      this.next = null
      return (this.running = this.syncAndTell())
    })
    return this.next
  }

  private async syncAndTell(): Promise<unknown> {
    this.isBusy.value = true
    let failed: unknown = null
    try {
      this.notice.value = told(await this.syncAndSay())
    } catch (error) {
      failed = error
      this.complain(error)
    }
    await this.look().catch(this.complain) // nobody is told when pushed deletions are forgotten
    this.isBusy.value = false
    this.syncs.value++
    return failed
  }

  add = (title: string): Promise<void> => this.write(this.store.add(title))

  edit = (id: string, values: Partial<TaskValues>): Promise<void> =>
    this.write(this.store.edit(id, values))

  remove = (id: string): Promise<void> => this.write(this.store.remove(id))

  private async write(work: Promise<void>): Promise<void> {
    try {
      await work
    } catch (error) {
      return this.complain(error)
    }
    void this.send()
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

  /** Of a phone that listens: its edits, at once, and again until they have arrived. */
  private async send(): Promise<void> {
    if (!this.isLive.value || !this.wire.isOnline.value) return
    if (await this.sync()) setTimeout(() => this.send(), Math.max(AGAIN_MS, this.mustWaitMs))
  }

  /** Returns how to stop it. */
  private listen(): () => void {
    const { session, hear } = this
    const since = async () => Number(await this.store.lastPulledAt())
    const live = listenFor({ session, since, tell: hear, sync: () => this.syncForNews() })
    live.catch(this.complain)
    return () => void live.then((it) => it.stop(), this.complain)
  }

  private async syncForNews(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, this.mustWaitMs))
    const failed = await this.sync()
    if (failed) throw failed
  }

  private hear = (told: Told): void => {
    if (told !== 'news') this.listens.value = told
    this.wire.hear(told)
  }

  private get mustWaitMs(): number {
    return Math.max(0, this.notBefore - Date.now())
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
