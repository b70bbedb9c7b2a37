/** `sync(database)`: many calls, few runs.
 *
 * WatermelonDB refuses two syncs of a database at once. A call joins a run that has not yet asked for
 * its pull, so that the run sees all that was there when the call was made; else it waits for the next one.
 */

import { abortable } from './abort.js'
import { AbortError } from './errors.js'
import { teller } from './events.js'
import { PART } from './parts.js'
import type { ConflictResolver, Manner, SyncProgress, SyncResult } from './run.js'
import type { Database } from './watermelon.js'

export interface SyncOptions {
  /** Told of each page and phase. */
  onProgress?: (progress: SyncProgress) => void
  /** Ends this call. The run goes on while others wait for it. */
  signal?: AbortSignal
  /** The server stores what it can; what it cannot comes as `rejected`, and stays unsynced. */
  partial?: boolean
  /** Take over a database that was synced by other means, as the signed-in account's: what the server does
   * not have is uploaded, nothing is dropped. `'other_account'`: also one that is another account's. */
  adopt?: boolean | 'other_account'
  /** false: never Turbo mode. */
  turbo?: boolean
  /** Records and deletions on a page of a large pull, 1 to 100,000; 5,000. */
  pageSize?: number
  /** Records and deletions in a part of a large push, 1 to 10,000; 10,000. Smaller ones suit a slow network: each has
   * its own time-out, and is not sent again once it is stored. */
  pushSize?: number
  /** WatermelonDB's own: what becomes of a record that both sides have changed. */
  conflictResolver?: ConflictResolver
}

export interface RunHooks {
  signal: AbortSignal
  onProgress: (progress: SyncProgress) => void
  onPull: () => void
}

export type StartRun = (database: Database, manner: Manner, hooks: RunHooks) => Promise<SyncResult>

interface Run {
  start: StartRun
  manner: Manner
  result: Promise<SyncResult>
  controller: AbortController
  listeners: Set<(progress: SyncProgress) => void>
  waiting: number
  isOpen: boolean
}

interface Line {
  open: Run[]
  last: Promise<unknown>
}

const PAGE_SIZE = 5_000
const lines = new WeakMap<Database, Line>()

/** Joins a run of `start` or queues one. Throws what the run throws, and `AbortError`. */
export function syncInLine(
  database: Database,
  options: SyncOptions,
  own: Pick<Manner, 'as' | 'resend' | 'migrationsEnabledAtVersion'>,
  start: StartRun,
): Promise<SyncResult> {
  const line = lineOf(database)
  const manner = { ...mannerOf(options), ...own }
  const isAlike = (run: Run) => run.isOpen && run.start === start && areAlike(run.manner, manner)
  const run = line.open.find(isAlike) ?? queue(database, line, start, manner)
  return join(run, options)
}

/** `work` when no sync of the database runs; those that are asked for meanwhile wait. */
export function inLine<T>(database: Database, work: () => Promise<T>): Promise<T> {
  const line = lineOf(database)
  const turn = line.last.then(work)
  line.last = turn.catch(() => undefined) // its caller is told
  return turn
}

function lineOf(database: Database): Line {
  const line = lines.get(database) ?? { open: [], last: Promise.resolve() }
  lines.set(database, line)
  return line
}

function mannerOf(options: SyncOptions): Omit<Manner, 'as' | 'resend' | 'migrationsEnabledAtVersion'> {
  return {
    partial: options.partial ?? false,
    adopt: options.adopt ?? false,
    turbo: options.turbo ?? true,
    pageSize: options.pageSize ?? PAGE_SIZE,
    pushSize: options.pushSize ?? PART,
    conflictResolver: options.conflictResolver,
  }
}

function areAlike(a: Manner, b: Manner): boolean {
  return (Object.keys(a) as (keyof Manner)[]).every((key) => a[key] === b[key])
}

function queue(database: Database, line: Line, start: StartRun, manner: Manner): Run {
  const run: Run = {
    start,
    manner,
    controller: new AbortController(),
    listeners: new Set(),
    waiting: 0,
    isOpen: true,
    result: inLine(database, () => execute(database, line, run)),
  }
  line.open.push(run)
  run.result.catch(() => undefined) // those who wait for it are told
  return run
}

async function execute(database: Database, line: Line, run: Run): Promise<SyncResult> {
  const close = () => {
    run.isOpen = false
    line.open = line.open.filter((other) => other !== run)
  }
  const onProgress = (progress: SyncProgress) => run.listeners.forEach((listen) => listen(progress))
  try {
    if (run.controller.signal.aborted) throw new AbortError()
    const hooks = { signal: run.controller.signal, onProgress, onPull: close }
    return await run.start(database, run.manner, hooks)
  } finally {
    close()
  }
}

async function join(run: Run, { onProgress, signal }: SyncOptions): Promise<SyncResult> {
  run.waiting += 1
  const listen = teller(onProgress)
  run.listeners.add(listen)
  try {
    return await abortable(run.result, signal)
  } finally {
    run.listeners.delete(listen)
    run.waiting -= 1
    if (run.waiting === 0) {
      run.isOpen = false // nobody may join what is being ended
      run.controller.abort()
    }
  }
}
