/** The name of this device with its database, which outlives signing out (contract, Accounts). */

import { randomId } from '@nozbe/watermelondb/utils/common/index.js'
import { exclusive } from './locks.js'
import { readable } from './session.js'
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

/** For whoever signs out: an entry that cannot be read any more would be in the way of each sign-in. The
 * next one is a device of its own. */
export async function forgetUnreadable(storage: MelonStorage): Promise<void> {
  const stored = guarded(storage)
  const isReadable = await readable(async () => ({ found: await stored.get(KEY) }))
  if (!isReadable) await stored.remove(KEY)
}
