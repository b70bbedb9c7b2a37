/** The numbers of pushes: a copy that a network delivers late is told from a new push (contract push 8). */

import { exclusive } from './locks.js'
import { guarded, type GuardedStorage, type MelonStorage } from './storage.js'

const KEY = 'melon.push'
const MOST = Number.MAX_SAFE_INTEGER

/** They rise within each session, also of several databases. By the clock, so that one that the storage has
 * lost, or a tab without locks has read too, is hardly ever given to another push. */
export class PushNumbers {
  private readonly stored: GuardedStorage

  constructor(private readonly storage: MelonStorage) {
    this.stored = guarded(storage)
  }

  /** A new one, stored before it is used. Throws `StorageError`. */
  next(): Promise<number> {
    return this.change((last) => Math.max(last + 1, Date.now()))
  }

  /** At least `newest`, the server's: the storage was lost, or the clock put back. */
  async raise(newest: unknown): Promise<void> {
    await this.change((last) => Math.max(last, usable(newest)))
  }

  private change(to: (last: number) => number): Promise<number> {
    return exclusive(this.storage, 'push', '', async () => {
      const number = to(usable(Number(await this.stored.get(KEY))))
      await this.stored.set(KEY, String(number))
      return number
    })
  }
}

/** What another one can follow, as the server counts; else 0: the server tells its newest. */
function usable(found: unknown): number {
  return Number.isSafeInteger(found) && (found as number) < MOST ? Math.max(found as number, 0) : 0
}
