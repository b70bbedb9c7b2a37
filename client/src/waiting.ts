/** Who has signed in on this device, and has not synced a database yet: what is in one that nobody has
 * synced may be theirs. */

import { exclusive } from './locks.js'
import { guarded, type GuardedStorage, type MelonStorage } from './storage.js'

const KEY = 'melon.waiting' // accounts' ids, with blanks between

export class Waiting {
  private readonly stored: GuardedStorage

  constructor(private readonly storage: MelonStorage) {
    this.stored = guarded(storage)
  }

  /** Throws `StorageError`, as all of these do. */
  add(userId: string): Promise<void> {
    return this.change((ids) => (ids.includes(userId) ? ids : [...ids, userId]))
  }

  /** A database is theirs by now. */
  remove(userId: string): Promise<void> {
    return this.change((ids) => ids.filter((id) => id !== userId))
  }

  async has(userId: string): Promise<boolean> {
    return (await this.ids()).includes(userId)
  }

  async hasOthers(userId: string): Promise<boolean> {
    return (await this.ids()).some((id) => id !== userId)
  }

  private async ids(): Promise<string[]> {
    return ((await this.stored.get(KEY)) ?? '').split(' ').filter(Boolean)
  }

  /** One at a time: somebody may sign in while another one's first sync is under way. */
  private change(to: (ids: string[]) => string[]): Promise<void> {
    return exclusive(this.storage, 'waiting', '', async () => {
      const before = await this.ids()
      const ids = to(before)
      if (ids.length === before.length) return
      await (ids.length ? this.stored.set(KEY, ids.join(' ')) : this.stored.remove(KEY))
    })
  }
}
