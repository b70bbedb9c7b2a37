/** `pullChanges`: one answer, pages joined to one, or text for Turbo mode. */

import { ensureNotAborted } from './abort.js'
import type { Api } from './api.js'
import { addChanges, countOf, type Changes } from './changes.js'
import { NetworkError } from './errors.js'
import { isObject, parsed } from './http.js'
import type { Repeat } from './retry.js'

/** What WatermelonDB hands to `pullChanges`. */
export interface PullArgs {
  lastPulledAt?: number | null
  schemaVersion: number
  migration: unknown
}

export interface PullAnswer {
  changes: Changes
  /** The sync clock, in ms. */
  timestamp: number
  /** `replacement`: WatermelonDB drops what is not in `changes` (contract pull 7). */
  experimentalStrategy?: 'replacement'
}

export interface PullOptions {
  api: Api
  as: string
  signal: AbortSignal
  pageSize: number
  replacement: boolean
  /** Records so far; whether these are all. The server tells no total. */
  onPage: (records: number, pages: number, isLast: boolean) => void
}

const LARGE_AFTER_MS = 24 * 60 * 60 * 1000

/** The answer as raw text, unpaged; only with a first pull. Not repeated: pages come through where it
 * does not. Throws `NetworkError` for what is not the server's, as far as that shows without parsing. */
export async function pullText(args: PullArgs, options: PullOptions): Promise<string> {
  const text = await ask(options, bodyOf(args, options), 'unapplied')
  const isWhole = text.startsWith('{"changes":') && /"timestamp":[1-9]\d*\}\s*$/.test(text.slice(-99))
  if (!isWhole) throw notAnAnswer()
  return text
}

/** Everything since `lastPulledAt`. In pages where it may be much; all have one timestamp. */
export async function pull(args: PullArgs, options: PullOptions): Promise<PullAnswer> {
  const body = bodyOf(args, options)
  if (!mayBeLarge(args, options)) return progressOf(whole(await ask(options, body)), options)
  return pages({ ...body, limit: options.pageSize }, options)
}

async function pages(body: object, options: PullOptions): Promise<PullAnswer> {
  const all: Changes = {}
  let cursor: unknown
  for (let count = 1, records = 0; ; count += 1) {
    const page = whole(await ask(options, cursor ? { ...body, cursor } : body))
    records += countOf(page.changes)
    addChanges(all, page.changes)
    cursor = page.cursor
    options.onPage(records, count, !cursor)
    if (!cursor) return { ...withoutCursor(page), changes: all }
  }
}

function bodyOf({ lastPulledAt, schemaVersion, migration }: PullArgs, options: PullOptions) {
  const body = { lastPulledAt: lastPulledAt ?? null, schemaVersion, migration }
  return options.replacement ? { ...body, replacement: true } : body
}

/** A plain pull is the server's cheapest answer; one after a day away, or of old records, is paged. */
function mayBeLarge({ lastPulledAt, migration }: PullArgs, { replacement }: PullOptions): boolean {
  const isOld = !lastPulledAt || Math.abs(Date.now() - lastPulledAt) > LARGE_AFTER_MS
  return isOld || replacement || Boolean(migration)
}

function ask(
  { api, as, signal }: PullOptions,
  body: object,
  repeat: Repeat = 'always',
): Promise<string> {
  ensureNotAborted(signal)
  return api.signed({ method: 'POST', path: '/sync/pull', body, as, signal, repeat })
}

function whole(text: string): PullAnswer & { cursor?: unknown } {
  const answer = parsed(text)
  if (isObject(answer['changes']) && typeof answer['timestamp'] === 'number') {
    return answer as unknown as PullAnswer
  }
  throw notAnAnswer()
}

function notAnAnswer(): NetworkError {
  return new NetworkError('bad_answer', 'The answer to a pull is not one.')
}

function withoutCursor({ timestamp, experimentalStrategy }: PullAnswer): Omit<PullAnswer, 'changes'> {
  return experimentalStrategy ? { timestamp, experimentalStrategy } : { timestamp }
}

function progressOf(answer: PullAnswer, options: PullOptions): PullAnswer {
  options.onPage(countOf(answer.changes), 1, true)
  return answer
}
