/** Who has signed in on this device, and has not synced a database yet: what is in one that nobody has
 * synced may be theirs. */

import type { GuardedStorage } from './storage.js'

const KEY = 'melon.waiting' // accounts' ids, with blanks between

export class Waiting {
  constructor(private readonly storage: GuardedStorage) {}

  /** Throws `StorageError`, as all of these do. */
  async add(userId: string): Promise<void> {
    const ids = await this.ids()
    if (!ids.includes(userId)) await this.save([...ids, userId])
  }

  /** A database is theirs by now. */
  async remove(userId: string): Promise<void> {
    const ids = await this.ids()
    if (ids.includes(userId)) await this.save(ids.filter((id) => id !== userId))
  }

  async hasOthers(userId: string): Promise<boolean> {
    return (await this.ids()).some((id) => id !== userId)
  }

  private async ids(): Promise<string[]> {
    return ((await this.storage.get(KEY)) ?? '').split(' ').filter(Boolean)
  }

  private save(ids: string[]): Promise<void> {
    return ids.length ? this.storage.set(KEY, ids.join(' ')) : this.storage.remove(KEY)
  }
}
