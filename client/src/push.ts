/** `pushChanges`: all or nothing, or with `partial` what the server can take. */

import type { Api } from './api.js'
import { rejectedRecords, type Changes, type RejectedRecord } from './changes.js'
import { NetworkError } from './errors.js'
import { parsed } from './http.js'

export interface PushArgs {
  changes: Changes
  lastPulledAt: number
}

export interface PushAnswer {
  /** The new sync clock in ms when this device is up to date with it, else null (contract push 7). */
  timestamp: number | null
  rejected: RejectedRecord[]
  experimentalRejectedIds: Record<string, string[]>
}

export interface PushOptions {
  api: Api
  as: string
  signal: AbortSignal
  partial: boolean
}

/** Repeated after a lost answer, a push changes nothing (contract push 1). Throws `ConflictError`, and
 * `NetworkError` for an answer that is not the server's: nothing counts as stored then. */
export async function push(args: PushArgs, options: PushOptions): Promise<PushAnswer> {
  const { api, as, signal, partial } = options
  const body = { ...args, ...(partial ? { allowPartial: true } : {}) }
  const call = { method: 'POST', path: '/sync/push', body, as, signal, repeat: 'always' } as const
  const answer = parsed(await api.signed(call))
  const { timestamp, experimentalRejectedIds: ids } = answer
  if (timestamp !== null && typeof timestamp !== 'number') {
    throw new NetworkError('bad_answer', 'The answer to a push is not one.')
  }
  return {
    timestamp,
    rejected: rejectedRecords(args.changes, answer),
    experimentalRejectedIds: (ids ?? {}) as Record<string, string[]>,
  }
}
