/** One run of sync: pull and push, again while other devices are faster, then the clock is set. */

import type { Database } from '@nozbe/watermelondb'
import type { SyncArgs } from '@nozbe/watermelondb/sync/index.js'
import { synchronize } from '@nozbe/watermelondb/sync/index.js'
import { getLastPulledAt } from '@nozbe/watermelondb/sync/impl/index.js'
import { ensureNotAborted, sleep } from './abort.js'
import type { Api } from './api.js'
import { countOf, type RawRecord, type RejectedRecord } from './changes.js'
import { ConflictError, NetworkError } from './errors.js'
import { claim, fastForward, type Pushed } from './local.js'
import { keepsTabsOut } from './locks.js'
import { pull, pullText, type PullArgs, type PullOptions } from './pull.js'
import { push, type PushArgs } from './push.js'
import { pause, type RetryPolicy } from './retry.js'
import { canTurbo } from './turbo.js'
import type { Waiting } from './waiting.js'

/** How far a sync is. `records` counts from its beginning; no total is known beforehand. */
export type SyncProgress =
  | { phase: 'pull'; records: number; pages: number; isLast: boolean }
  | { phase: 'apply'; records: number | null }
  | { phase: 'push'; records: number }

export interface SyncResult {
  /** The database had never been synced. */
  isFirst: boolean
  /** The server sent the full set, and what it does not have was dropped here. */
  isReplacement: boolean
  isTurbo: boolean
  /** Records and deletions; null in Turbo mode, where nobody counts. */
  pulled: number | null
  pushed: number
  /** With `partial`: what the server did not take in the last push. */
  rejected: RejectedRecord[]
  /** How often it pulled: more than once when other devices were faster. */
  rounds: number
  /** The sync clock that the device has reached, in ms. */
  timestamp: number
}

/** The record to store, `resolved` as it is or changed. As WatermelonDB's type, which its package does
 * not export whole. */
export type ConflictResolver = (
  table: string,
  local: RawRecord,
  remote: RawRecord,
  resolved: RawRecord,
) => RawRecord

/** How a run is to be done. */
export interface Manner {
  partial: boolean
  replacement: boolean
  adopt: boolean
  turbo: boolean
  pageSize: number
  conflictResolver: ConflictResolver | undefined
  migrationsEnabledAtVersion: number | undefined
}

export interface RunContext {
  api: Api
  /** The account's id: a run is one account's, whoever signs in meanwhile. */
  as: string
  database: Database
  waiting: Waiting
  manner: Manner
  signal: AbortSignal
  onProgress: (progress: SyncProgress) => void
  /** The pull is about to be asked for: what happens from now on may not be in this run. */
  onPull: () => void
}

const ROUNDS = 5
const PAUSES: RetryPolicy = { attempts: ROUNDS, baseMs: 100, maxMs: 2_000 }

/** Throws `ConflictError` after five rounds, and whatever a pull, a push or WatermelonDB throws. */
export async function run(context: RunContext): Promise<SyncResult> {
  const result = await emptyResult(context.database)
  for (;;) {
    ensureNotAborted(context.signal)
    const { adopt } = context.manner
    await claim(context.database, context.as, { adopt, waiting: context.waiting })
    result.rounds += 1
    const conflict = await conflictOf(() => round(context, result))
    if (conflict && result.rounds >= ROUNDS) throw conflict
    const isDone = !conflict && !(result.rounds === 1 && result.rejected.some(isConflict))
    if (isDone) break
    await sleep(pause(undefined, result.rounds, PAUSES), context.signal)
  }
  return { ...result, timestamp: (await getLastPulledAt(context.database)) ?? 0 }
}

async function conflictOf(work: () => Promise<void>): Promise<ConflictError | undefined> {
  try {
    await work()
    return undefined
  } catch (error) {
    if (error instanceof ConflictError) return error
    throw error
  }
}

/** Of a partial push: there the reasons are sentences about the record. A second pull merges it. */
function isConflict({ reasons }: RejectedRecord): boolean {
  return Array.isArray(reasons)
}

async function emptyResult(database: Database): Promise<SyncResult> {
  const isFirst = (await getLastPulledAt(database)) === null
  const flags = { isFirst, isReplacement: false, isTurbo: false }
  return { ...flags, pulled: 0, pushed: 0, rejected: [], rounds: 0, timestamp: 0 }
}

/** By Turbo mode if it can be; in pages where its one large answer does not come through. */
async function round(context: RunContext, result: SyncResult): Promise<void> {
  const { database, manner } = context
  const isFirst = (await getLastPulledAt(database)) === null
  const isTurbo = isFirst && manner.turbo && (await canTurbo(database))
  if (!isTurbo) return attempt(context, result, false)
  try {
    await attempt(context, result, true)
  } catch (error) {
    if (!(error instanceof NetworkError)) throw error
    await attempt(context, result, false)
  }
}

async function attempt(context: RunContext, result: SyncResult, isTurbo: boolean): Promise<void> {
  const { database, manner } = context
  let pushed: Pushed | undefined
  const pushChanges = async (args: PushArgs) => {
    const answer = await pushRound(args, context, result)
    if (answer.timestamp !== null) pushed = { from: args.lastPulledAt, to: answer.timestamp }
    return { experimentalRejectedIds: answer.experimentalRejectedIds }
  }
  await synchronize({
    database,
    pullChanges: (args) => pullRound(args, context, result, isTurbo),
    pushChanges,
    unsafeTurbo: isTurbo,
    onWillApplyRemoteChanges: async ({ remoteChangeCount: count }) =>
      context.onProgress({ phase: 'apply', records: Number.isNaN(count) ? null : count }),
    ...optional(manner),
  } as SyncArgs)
  if (pushed && keepsTabsOut()) await fastForward(database, pushed)
}

function optional({ conflictResolver, migrationsEnabledAtVersion }: Manner): Partial<SyncArgs> {
  return {
    ...(conflictResolver ? { conflictResolver } : {}),
    ...(migrationsEnabledAtVersion ? { migrationsEnabledAtVersion } : {}),
  }
}

async function pullRound(args: PullArgs, context: RunContext, result: SyncResult, turbo: boolean) {
  context.onPull()
  const options = pullOptions(context, result)
  if (turbo) {
    const syncJson = await pullText(args, options)
    Object.assign(result, { isTurbo: true, pulled: null })
    return { syncJson }
  }
  const answer = await pull(args, options)
  result.isReplacement ||= answer.experimentalStrategy === 'replacement'
  if (result.pulled !== null) result.pulled += countOf(answer.changes)
  return answer
}

function pullOptions(context: RunContext, result: SyncResult): PullOptions {
  const { api, as, signal, manner, onProgress } = context
  const { pageSize } = manner
  const onPage = (records: number, pages: number, isLast: boolean) =>
    onProgress({ phase: 'pull', records, pages, isLast })
  // Once is enough: the rounds after a conflict bring what is new since.
  const replacement = manner.replacement && !result.isReplacement
  return { api, as, signal, pageSize, replacement, onPage }
}

async function pushRound(args: PushArgs, context: RunContext, result: SyncResult) {
  const { api, as, signal, manner, onProgress } = context
  const records = countOf(args.changes)
  onProgress({ phase: 'push', records })
  const answer = await push(args, { api, as, signal, partial: manner.partial })
  result.rejected = answer.rejected
  result.pushed += records - answer.rejected.length
  return answer
}
