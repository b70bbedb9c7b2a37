/** `pushChanges`: all or nothing, or with `partial` what the server can take. */

import { pushAnswer } from './answers.js'
import type { Api } from './api.js'
import { rejectedRecords, type Changes, type RejectedRecord } from './changes.js'
import { PushOutdatedError } from './errors.js'
import type { PushNumbers } from './numbers.js'

export interface PushArgs {
  changes: Changes
  lastPulledAt: number
}

export interface PushAnswer {
  /** The new sync clock in ms when this device is up to date with it, else null (contract push 7). */
  timestamp: number | null
  rejected: RejectedRecord[]
}

export interface PushOptions {
  api: Api
  as: string
  signal: AbortSignal
  partial: boolean
  numbers: PushNumbers
}

/** Repeated after a lost answer, under its number, a push changes nothing (contract push 1 and 8). Throws
 * `ConflictError`, `PushOutdatedError`, and `NotThisServerError` for an answer that is not the server's: nothing counts as stored then. */
export async function push(args: PushArgs, options: PushOptions): Promise<PushAnswer> {
  const { api, as, signal, partial, numbers } = options
  const pushNumber = await numbers.next()
  const body = { ...args, pushNumber, ...(partial ? { allowPartial: true } : {}) }
  const call = { method: 'POST', path: '/sync/push', body, as, signal, repeat: 'always' } as const
  const text = await api.signed(call).catch((error) => outdated(error, numbers))
  const answer = pushAnswer(text, args, partial)
  return { timestamp: answer.timestamp, rejected: rejectedRecords(args.changes, answer) }
}

/** So that the next push has a number that counts. */
async function outdated(error: unknown, numbers: PushNumbers): Promise<never> {
  if (error instanceof PushOutdatedError) await numbers.raise(error.errors['pushNumber'])
  throw error
}
