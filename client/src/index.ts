/** For apps on `@nozbe/watermelondb`: melon-sync/core, and that one found. */

import { Q } from '@nozbe/watermelondb'
import { synchronize } from '@nozbe/watermelondb/sync/index.js'
import { createMelonClient as createWith, type MelonClient, type MelonOptions } from './core.js'

export * from './core.js'

/** A client; nothing is sent or stored before its first call. Throws `MelonError` for a `url` that is none. */
export function createMelonClient(
  options: Omit<MelonOptions, 'watermelon'> & Partial<Pick<MelonOptions, 'watermelon'>>,
): MelonClient {
  return createWith({ ...options, watermelon: options.watermelon ?? { Q, synchronize } })
}
