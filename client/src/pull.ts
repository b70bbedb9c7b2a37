/** `pullChanges`: one answer, pages joined to one, or text for Turbo mode. */

import { ensureNotAborted } from './abort.js'
import { Pages } from './answers.js'
import type { Api } from './api.js'
import { addChanges, countOf, type Changes } from './changes.js'
import { NotThisServerError } from './errors.js'
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
  /** Records so far; whether these are all. The server tells no total. */
  onPage: (records: number, pages: number, isLast: boolean) => void
}

const LARGE_AFTER_MS = 24 * 60 * 60 * 1000

/** The answer as raw text, unpaged; only with a first pull. Not repeated: pages come through where it
 * does not. Throws `NotThisServerError` for what is not the server's, as far as that shows without parsing. */
export async function pullText(args: PullArgs, options: PullOptions): Promise<string> {
  const text = await ask(options, bodyOf(args), 'unapplied')
  const isWhole = text.startsWith('{"changes":') && /"timestamp":[1-9]\d*\}\s*$/.test(text.slice(-99))
  if (!isWhole) throw new NotThisServerError('bad_answer', 'body')
  return text
}

/** Everything since `lastPulledAt`. In pages where it may be much; all have one timestamp. */
export async function pull(args: PullArgs, options: PullOptions): Promise<PullAnswer> {
  const isPaged = mayBeLarge(args)
  const body = { ...bodyOf(args), ...(isPaged ? { limit: options.pageSize } : {}) }
  const pages = new Pages(args.lastPulledAt ?? 0, isPaged)
  const all: Changes = {}
  let cursor: string | null = null
  for (let count = 1, records = 0; ; count += 1) {
    const text = await ask(options, cursor ? { ...body, cursor } : body)
    const { cursor: next, ...page } = pages.next(text)
    records += countOf(page.changes)
    addChanges(all, page.changes)
    cursor = next
    options.onPage(records, count, !cursor)
    if (!cursor) return { ...page, changes: all }
  }
}

function bodyOf({ lastPulledAt, schemaVersion, migration }: PullArgs) {
  return { lastPulledAt: lastPulledAt ?? null, schemaVersion, migration }
}

/** A plain pull is the server's cheapest answer; one after a day away, or of old records, is paged. */
function mayBeLarge({ lastPulledAt, migration }: PullArgs): boolean {
  const isOld = !lastPulledAt || Math.abs(Date.now() - lastPulledAt) > LARGE_AFTER_MS
  return isOld || Boolean(migration)
}

function ask(
  { api, as, signal }: PullOptions,
  body: object,
  repeat: Repeat = 'always',
): Promise<string> {
  ensureNotAborted(signal)
  return api.signed({ method: 'POST', path: '/sync/pull', body, as, signal, repeat })
}
