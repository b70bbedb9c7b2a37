/** Guests of this device whose person has signed in to an account that was there already: their records go
 * along with the database, and then their account goes.
 *
 * The account that was signed in to wins: what the server has of a record with the same id counts, or the newer
 * one by `updated_at`, as wherever a database is adopted. A guest's account is deleted when the database that
 * was its own has been synced as the other account's, and nothing of it was refused; before that it stays.
 */

import { ApiError, NetworkError } from './errors.js'
import { isObject } from './http.js'
import type { Send } from './http.js'
import { exclusive } from './locks.js'
import type { Session } from './session.js'
import { tokenAnswer } from './shapes.js'
import { guarded, type GuardedStorage, type MelonStorage } from './storage.js'
import type { Waiting } from './waiting.js'

const KEY = 'melon.guests'

interface Former {
  id: string
  root: string
  access: string
  refresh: string
  /** Who has signed in since. */
  to: string
  /** Its records are on their way to that account, or it had none on the server. */
  isAdopted: boolean
}

export class Guests {
  private readonly stored: GuardedStorage

  constructor(
    private readonly storage: MelonStorage,
    private readonly waiting: Waiting,
  ) {
    this.stored = guarded(storage)
  }

  /** A guest's session ends here because somebody signs in. Throws `StorageError`, as all of these do. */
  async note({ user, root, access, refresh }: Session, to: string): Promise<void> {
    const isAdopted = await this.waiting.has(user.id) // it never synced
    const former: Former = { id: user.id, root, access, refresh, to, isAdopted }
    await this.change((all) => [...all.filter(({ id }) => id !== user.id), former])
    await this.waiting.remove(user.id)
  }

  /** Whether this database's owner has become that account; its records are on their way there then. */
  async adopt(owner: string, to: string): Promise<boolean> {
    const isOne = (former: Former) => former.id === owner && former.to === to
    if (!(await this.all()).some(isOne)) return false
    await this.change((all) => all.map((one) => (isOne(one) ? { ...one, isAdopted: true } : one)))
    return true
  }

  /** Deletes the guests' accounts whose records this account has by now; where the server cannot be asked,
   * the next sync tries again. */
  async settle(to: string, send: Send): Promise<void> {
    for (const former of await this.all()) {
      if (former.to !== to || !former.isAdopted) continue
      if (await isGone(former, send)) await this.change((all) => all.filter(({ id }) => id !== former.id))
    }
  }

  private async all(): Promise<Former[]> {
    const text = await this.stored.get(KEY)
    const found: unknown = text ? JSON.parse(text) : []
    return Array.isArray(found) ? found.filter(isObject) as unknown as Former[] : []
  }

  private change(to: (all: Former[]) => Former[]): Promise<void> {
    return exclusive(this.storage, 'guests', '', async () => {
      const all = to(await this.all())
      await (all.length ? this.stored.set(KEY, JSON.stringify(all)) : this.stored.remove(KEY))
    })
  }
}

/** Whether nothing more is to be done. What the server will not delete is no guest's any more, or its session has
 * ended: then the server's own purge sees to it. */
async function isGone(former: Former, send: Send): Promise<boolean> {
  const end = (token: string) =>
    send({ method: 'DELETE', path: '/users/me', body: {}, token, expects: 204 })
  try {
    await end(former.access).catch(async (error: unknown) => {
      if (!(error instanceof ApiError) || error.code !== 'token_expired') throw error
      const answer = await send({ method: 'POST', path: '/auth/refresh', token: former.refresh })
      return end(tokenAnswer(answer).access_token)
    })
    return true
  } catch (error) {
    if (error instanceof NetworkError) return false
    if (error instanceof ApiError) return error.status < 500 && error.status !== 429
    throw error
  }
}
