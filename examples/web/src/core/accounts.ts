// Several people on one phone: each has a database and tokens of their own, under a name that is made up
// at their first sign-in here.
import type { Database } from '@nozbe/watermelondb'
import {
  createMelonClient,
  SignedOutError,
  type Credentials,
  type MelonClient,
  type MelonStorage,
} from 'melon-sync'

export interface Account {
  /** Names the database and the tokens. */
  slot: string
  email: string
  client: MelonClient
  database: Database
}

export interface Platform {
  url: string
  storage: MelonStorage
  openDatabase(name: string): Database
}

type Known = { slot: string; email: string }

const KEY = 'accounts' // [{slot, email}], who was here last first

export class Accounts {
  private readonly opened = new Map<string, Account>()

  constructor(private readonly platform: Platform) {}

  /** Whose data is on this phone, signed in or not. */
  async known(): Promise<Known[]> {
    return JSON.parse((await this.platform.storage.get(KEY)) ?? '[]') as Known[]
  }

  /** Who was here last, where they are still signed in. */
  async last(): Promise<Account | null> {
    const [newest] = await this.known()
    const account = newest && this.open(newest)
    return account && (await account.client.user()) ? account : null
  }

  /** Throws what `register` and `login` throw. Who signs in again finds what they left. */
  async enter(how: 'register' | 'login', form: Credentials): Promise<Account> {
    const email = form.email.trim().toLowerCase()
    const known = (await this.known()).find((one) => one.email === email)
    const account = this.open(known ?? { slot: `melon-${Date.now().toString(36)}`, email })
    await account.client[how]({ ...form, email })
    await this.select(account)
    return account
  }

  /** Another one of those whose data is here. Throws `SignedOutError` where that one has to sign in again. */
  async switchTo(slot: string): Promise<Account> {
    const known = (await this.known()).find((one) => one.slot === slot)
    const account = known && this.open(known)
    if (!account || !(await account.client.user())) throw new SignedOutError('signed_out')
    await this.select(account)
    return account
  }

  /** `keep` leaves the records on the phone, for the next time; else they go, with what was not uploaded:
   * ask `hasUnsyncedChanges` before. */
  async leave(account: Account, { keep }: { keep: boolean }): Promise<void> {
    await account.client.signOut(account.database, { wipe: !keep, force: true })
    if (keep) return
    this.opened.delete(account.slot)
    const others = (await this.known()).filter(({ slot }) => slot !== account.slot)
    await this.platform.storage.set(KEY, JSON.stringify(others))
  }

  private async select({ slot, email }: Known): Promise<void> {
    const others = (await this.known()).filter((one) => one.slot !== slot)
    await this.platform.storage.set(KEY, JSON.stringify([{ slot, email }, ...others]))
  }

  private open({ slot, email }: Known): Account {
    const found = this.opened.get(slot)
    if (found) return found
    const { url, storage, openDatabase } = this.platform
    // Offline should show soon: the next edit tries again.
    const client = createMelonClient({ url, storage: within(storage, slot), retry: { attempts: 2 } })
    const account = { slot, email, client, database: openDatabase(slot) }
    this.opened.set(slot, account)
    return account
  }
}

/** The same storage, under names of its own. */
function within(storage: MelonStorage, slot: string): MelonStorage {
  return {
    get: (key) => storage.get(`${slot}.${key}`),
    set: (key, value) => storage.set(`${slot}.${key}`, value),
    remove: (key) => storage.remove(`${slot}.${key}`),
  }
}
