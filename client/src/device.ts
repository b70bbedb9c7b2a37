/** The name of this device with its database, which outlives signing out (contract, Accounts). */

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

/** As random as the platform has it: Hermes has no `crypto`. */
function randomId(): string {
  const bytes = new Uint8Array(16)
  if (typeof crypto === 'object') crypto.getRandomValues(bytes)
  else bytes.forEach((_, at) => (bytes[at] = Math.random() * 256))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** For whoever signs out: an entry that cannot be read any more would be in the way of each sign-in. The
 * next one is a device of its own. */
export async function forgetUnreadable(storage: MelonStorage): Promise<void> {
  const stored = guarded(storage)
  const isReadable = await readable(async () => ({ found: await stored.get(KEY) }))
  if (!isReadable) await stored.remove(KEY)
}
