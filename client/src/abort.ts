/** Waiting that a signal can end. */

import { AbortError } from './errors.js'

const MOST_MS = 2 ** 31 - 1 // a longer timer would end at once

/** As `setTimeout`, for however long. */
export function later(work: () => void, ms: number): ReturnType<typeof setTimeout> {
  return setTimeout(work, Math.min(ms, MOST_MS))
}

/** Throws `AbortError` when the signal has been given. */
export function ensureNotAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new AbortError()
}

/** What `promise` comes to, or `AbortError` as soon as the signal is given; the work goes on. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise
  return new Promise<T>((resolve, reject) => {
    const abort = () => reject(new AbortError())
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort)
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

/** Resolves after so many milliseconds. Throws `AbortError`. */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const elapsed = new Promise<void>((resolve) => {
    timer = later(resolve, ms)
  })
  try {
    await abortable(elapsed, signal)
  } finally {
    clearTimeout(timer)
  }
}
