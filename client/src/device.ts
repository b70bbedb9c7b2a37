/** The name of this device with its database, which outlives signing out (contract, Accounts). */

import { randomId } from '@nozbe/watermelondb/utils/common/index.js'
import { exclusive } from './locks.js'
import { guarded, type MelonStorage } from './storage.js'

const KEY = 'melon.device'

/** The stored one; made at the first call. Throws `StorageError`. */
export function deviceId(storage: MelonStorage): Promise<string> {
  const stored = guarded(storage)
  return exclusive(storage, 'device', '', async () => {
    const known = await stored.get(KEY)
    if (known) return known
    await stored.set(KEY, randomId())
    return (await stored.get(KEY)) as string // that of another tab, where it was faster
  })
}
