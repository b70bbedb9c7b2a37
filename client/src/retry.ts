/** Whether and when a call is made again. */

import { sleep } from './abort.js'
import { ApiError, NetworkError } from './errors.js'

/** How long one call is tried. */
export interface RetryPolicy {
  /** Tries in all. */
  attempts: number
  /** The first pause in ms; each one doubles it. */
  baseMs: number
  /** No pause is longer; a server that asks for a longer one is not waited for. */
  maxMs: number
}

/** What an app says of it; where it says nothing, or `undefined`, ours. */
export function retryPolicy(told: Partial<RetryPolicy> = {}): RetryPolicy {
  const { attempts = 5, baseMs = 500, maxMs = 30_000 } = told
  return { attempts, baseMs, maxMs }
}

/** What a call bears.
 * - `always`: doing it twice is doing it once (pulls, pushes by contract push 1, reads).
 * - `unapplied`: only when the server says that nothing was done (503 `unavailable`). A rate limit is
 *   for the person to know, who waits for the answer.
 * - `never`: nobody waits for it. */
export type Repeat = 'always' | 'unapplied' | 'never'

export interface RetryNote {
  attempt: number
  delayMs: number
  error: Error
}

export interface RetryOptions {
  policy: RetryPolicy
  repeat: Repeat
  signal?: AbortSignal | undefined
  onRetry: (note: RetryNote) => void
}

/** What a call within a call was given up with: it was tried often enough. */
const exhausted = new WeakSet<object>()

/** `work`, again while that may help. Throws the last error, `AbortError`. */
export async function retrying<T>(work: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { policy, signal, onRetry } = options
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work()
    } catch (error) {
      if (!mayHelp(error, options.repeat)) throw error
      if (attempt >= policy.attempts || asked(error) > policy.maxMs) exhausted.add(error)
      if (exhausted.has(error)) throw error
      const delayMs = pause(error, attempt, policy)
      onRetry({ attempt, delayMs, error })
      await sleep(delayMs, signal)
    }
  }
}

function mayHelp(error: unknown, repeat: Repeat): error is Error {
  if (error instanceof NetworkError) return repeat === 'always'
  if (!(error instanceof ApiError) || repeat === 'never') return false
  if (error.status === 503 && error.code === 'unavailable') return true
  return repeat === 'always' && (error.status === 429 || error.status >= 500)
}

/** Milliseconds: twice as long each time, of which a random half; at least what the server asks for and
 * a little more, so that not all phones come back at once. */
export function pause(error: unknown, attempt: number, policy: RetryPolicy): number {
  const most = Math.min(policy.maxMs, policy.baseMs * 2 ** (attempt - 1))
  const ours = most * (0.5 + Math.random() / 2)
  const theirs = asked(error)
  return theirs ? Math.max(ours, theirs + Math.random() * policy.baseMs) : ours
}

/** The server's `Retry-After` in ms, 0 without one. */
function asked(error: unknown): number {
  return error instanceof ApiError ? (error.retryAfter ?? 0) * 1000 : 0
}
