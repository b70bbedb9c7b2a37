// Somebody who signs in, or does not yet: one phone, with melon-sync as an app has it.
import { Q } from '@nozbe/watermelondb'
import { synchronize } from '@nozbe/watermelondb/sync'
import { signal } from '@preact/signals'
import { createMelonClient, type MelonStorage, type User, type Vouched } from 'melon-sync/core'
import { Store, type Row } from './store'
import type { Notice } from './words'

const KEY = 'melon-demo-ways' // its database; also before the names of what melon-sync keeps
const FIRST_TASKS = ['Milk']

/** Enough for one tab at a time (tabs.ts); for more see client/examples/web.ts. */
const storage: MelonStorage = {
  get: (key) => localStorage.getItem(`${KEY}-${key}`),
  set: (key, value) => localStorage.setItem(`${KEY}-${key}`, value),
  remove: (key) => localStorage.removeItem(`${KEY}-${key}`),
}

export class Visitor {
  readonly name = 'this phone'
  readonly user = signal<User | null>(null)
  readonly rows = signal<Row[]>([])
  readonly hasList = signal<boolean | null>(null) // null: not looked yet
  readonly isBusy = signal(true)
  readonly notice = signal<Notice>({ mood: 'calm', text: 'Nobody is signed in.' })
  private readonly store: Store
  private readonly melon = createMelonClient({
    url: location.origin,
    storage,
    watermelon: { Q, synchronize },
    deviceName: 'Ways to sign in',
  })

  constructor() {
    this.store = new Store(KEY, this.complain)
    this.store.watch(() => this.look().catch(this.complain))
  }

  /** Once: `brought` is what the page came back with from a provider. */
  open = (brought: () => Promise<Vouched | null>): Promise<void> =>
    this.work(async () => {
      const before = (this.user.value = await this.melon.user())
      if (before) this.say(`${named(before)} is signed in.`)
      const vouched = await brought()
      if (!vouched) return
      const user = await this.melon.signInWith('google', vouched)
      await this.sync()
      const along = before?.is_guest ? ' The guest’s list came along; the guest is no more.' : ''
      this.say(`Signed in as ${named(user)}.${along}`)
    })

  begin = (): Promise<void> =>
    this.work(async () => {
      await this.melon.guest()
      await this.sync()
      this.say('A guest. The list is on the server, and on no other phone.')
    })

  /** A guest's account is lost with its session; anybody else's list is there at the next sign-in. */
  signOut = (): Promise<void> =>
    this.work(async () => {
      await this.sync()
      await this.melon.signOut(this.store.database, { wipe: true })
      location.reload()
    })

  add = (title: string): Promise<void> =>
    this.work(async () => {
      await this.store.add(title)
      await this.melon.sync(this.store.database)
    })

  /** Pull and push; who has no list yet gets one. */
  private async sync(): Promise<void> {
    await this.melon.sync(this.store.database)
    if (await this.store.hasList()) return
    await this.store.createList('Groceries', FIRST_TASKS)
    await this.melon.sync(this.store.database)
  }

  private async work(what: () => Promise<void>): Promise<void> {
    this.isBusy.value = true
    try {
      await what()
    } catch (error) {
      this.complain(error)
    }
    this.user.value = await this.melon.user()
    await this.look().catch(this.complain)
    this.isBusy.value = false
  }

  private async look(): Promise<void> {
    this.rows.value = await this.store.rows()
    this.hasList.value = await this.store.hasList()
  }

  private say(text: string): void {
    this.notice.value = { mood: 'good', text }
  }

  complain = (error: unknown): void => {
    const text = error instanceof Error ? error.message : String(error)
    this.notice.value = { mood: 'bad', text }
  }
}

const named = ({ email, is_guest }: User): string =>
  email ?? (is_guest ? 'A guest' : 'somebody without an address')
