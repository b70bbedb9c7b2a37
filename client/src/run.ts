/** One run of sync: pull and push, again while other devices are faster, then the clock is set. */

import { ensureNotAborted, sleep } from './abort.js'
import type { Api } from './api.js'
import { countOf, idsByTable, type Changes, type RawRecord, type RejectedRecord } from './changes.js'
import {
  ConflictError,
  ForeignClockError,
  MelonError,
  NetworkError,
  PushOutdatedError,
  ValidationError,
} from './errors.js'
import {
  beginAdopting,
  claim,
  endAdopting,
  ensureOwner,
  fastForward,
  getLastPulledAt,
  isAdopting,
  type Pushed,
} from './local.js'
import type { Guests } from './guests.js'
import { keepsTabsOut } from './locks.js'
import { keepSpaces, watchedPull, type OnAccessLost } from './lost.js'
import { markSynced, type Marked } from './marks.js'
import type { PushNumbers } from './numbers.js'
import { pushAll } from './parts.js'
import type { Private } from './private.js'
import { pull, pullText, type PullAnswer, type PullArgs, type PullOptions } from './pull.js'
import type { PushArgs } from './push.js'
import { reconcile } from './resend.js'
import { pause, type RetryPolicy } from './retry.js'
import type { Spaces } from './spaces.js'
import { canTurbo } from './turbo.js'
import type { Waiting } from './waiting.js'
import type { Database, SyncArgs, Watermelon } from './watermelon.js'

/** How far a sync is. `records` counts from its beginning; no total is known beforehand. */
export type SyncProgress =
  | { phase: 'pull'; records: number; pages: number; isLast: boolean }
  | { phase: 'apply'; records: number | null }
  /** `sent`: how many of them the server has answered; large pushes go in parts. */
  | { phase: 'push'; records: number; sent: number }

export interface SyncResult {
  /** The database had never been synced. */
  isFirst: boolean
  /** The server sent the full set, and what it does not have was dropped here. */
  isReplacement: boolean
  isTurbo: boolean
  /** Records and deletions; null in Turbo mode, where nobody counts. */
  pulled: number | null
  /** Records that this device took for synced, and the server did not have: now they are to be pushed. */
  resent: number
  pushed: number
  /** Drafts, and what belongs to them: still on this phone alone. */
  held: number
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
  /** The account's id: a run is one account's, whoever signs in meanwhile. */
  as: string
  partial: boolean
  adopt: boolean | 'other_account'
  /** Upload what the server does not have, whatever its status. */
  resend: boolean
  turbo: boolean
  pageSize: number
  pushSize: number
  conflictResolver: ConflictResolver | undefined
  migrationsEnabledAtVersion: number | undefined
}

export interface RunContext {
  api: Api
  database: Database
  watermelon: Watermelon
  waiting: Waiting
  guests: Guests
  numbers: PushNumbers
  own: Private
  spaces: Spaces
  onAccessLost: OnAccessLost | undefined
  manner: Manner
  signal: AbortSignal
  onProgress: (progress: SyncProgress) => void
  /** The pull is about to be asked for: what happens from now on may not be in this run. */
  onPull: () => void
}

const ROUNDS = 5
const UNKNOWN = 'unknown_space'
const PAUSES: RetryPolicy = { attempts: ROUNDS, baseMs: 100, maxMs: 2_000 }

/** Throws `ConflictError` after five rounds, and whatever a pull, a push or WatermelonDB throws. */
export async function run(context: RunContext): Promise<SyncResult> {
  const result = await emptyResult(context.database)
  for (;;) {
    ensureNotAborted(context.signal)
    const { adopt, as } = context.manner
    const { waiting, guests, own } = context
    await claim(context.database, as, { adopt, waiting, guests, own })
    result.rounds += 1
    const { made } = context.spaces
    const conflict = await conflictOf(context, made, () => round(context, result))
    if (conflict && result.rounds >= ROUNDS) throw conflict
    const isDone = !conflict && !(await mayGoIn(context, result, made))
    if (isDone) break
    await sleep(pause(undefined, result.rounds, PAUSES), context.signal)
  }
  return { ...result, timestamp: (await getLastPulledAt(context.database)) ?? 0 }
}

/** What another round may mend. */
async function conflictOf({ database, manner, spaces }: RunContext, made: number, work: () => Promise<void>) {
  try {
    await work()
    return undefined
  } catch (error) {
    if (error instanceof ConflictError || error instanceof PushOutdatedError) return error
    if (error instanceof ValidationError && error.code === UNKNOWN && (await isMade(spaces, made))) return error
    if (!(error instanceof ForeignClockError) || !manner.adopt) throw error
    await beginAdopting(database)
    return error
  }
}

/** Whether what a partial push left here may go in another one: a second pull merges a conflict. */
async function mayGoIn({ spaces }: RunContext, { rounds, rejected }: SyncResult, made: number): Promise<boolean> {
  const has = (wanted: string) => rejected.some(({ code }) => code === wanted)
  if (rounds === 1 && has('sync_conflict')) return true
  return rounds < ROUNDS && has(UNKNOWN) && (await isMade(spaces, made))
}

/** A space came to be while the push that lacked it was under way. */
async function isMade(spaces: Spaces, before: number): Promise<boolean> {
  await spaces.settled()
  return spaces.made > before
}

async function emptyResult(database: Database): Promise<SyncResult> {
  const isFirst = (await getLastPulledAt(database)) === null
  const flags = { isFirst, isReplacement: false, isTurbo: false }
  return { ...flags, pulled: 0, resent: 0, pushed: 0, held: 0, rejected: [], rounds: 0, timestamp: 0 }
}

/** By Turbo mode if it can be; in pages where its one large answer does not come through, or is none that
 * can be loaded, which nobody sees before. */
async function round(context: RunContext, result: SyncResult): Promise<void> {
  const { database, manner } = context
  const isFirst = (await getLastPulledAt(database)) === null
  // Once is enough: the rounds after a conflict bring what is new since.
  const isFull = (manner.resend && result.rounds === 1) || (await isAdopting(database))
  const mayTurbo = isFirst && manner.turbo && !isFull
  const isTurbo = mayTurbo && (await canTurbo(database, context.own))
  if (!isTurbo) return attempt(context, result, { isTurbo, isFull })
  try {
    return await attempt(context, result, { isTurbo, isFull })
  } catch (error) {
    const isOurs = error instanceof MelonError && !(error instanceof NetworkError)
    const hasLoaded = (await getLastPulledAt(database)) !== null
    if (isOurs || hasLoaded) throw error
    Object.assign(result, { isTurbo: false, pulled: 0 })
  }
  await attempt(context, result, { isTurbo: false, isFull })
}

/** `isFull`: what the server has is compared with what is here, and what it lacks is uploaded. */
interface Way {
  isTurbo: boolean
  isFull: boolean
}

async function attempt(context: RunContext, result: SyncResult, way: Way): Promise<void> {
  const { database, manner } = context
  let pushed: Pushed | undefined
  let tables: string[] = []
  let keep: () => Promise<void> = async () => {}
  const pushChanges = async (args: PushArgs) => {
    await keep()
    if (way.isFull) await endAdopting(database) // all that is to be uploaded is marked by now
    const answer = await pushRound(args, context, result, tables)
    if (answer.timestamp !== null) pushed = { from: args.lastPulledAt, to: answer.timestamp }
    return { experimentalRejectedIds: answer.unsynced }
  }
  const args: SyncArgs<PullArgs, PushArgs> = {
    database,
    pullChanges: async (args) => {
      const { answer, applied } = await pullRound(args, context, result, way)
      keep = applied
      if ('changes' in answer) tables = Object.keys(answer.changes)
      return answer
    },
    pushChanges,
    unsafeTurbo: way.isTurbo,
    onWillApplyRemoteChanges: async ({ remoteChangeCount: count }) =>
      context.onProgress({ phase: 'apply', records: Number.isNaN(count) ? null : count }),
    ...optional(manner),
  }
  await context.watermelon.synchronize(args)
  await keep()
  if (way.isFull) await endAdopting(database)
  if (pushed && keepsTabsOut()) await fastForward(database, pushed)
}

function optional({ conflictResolver, migrationsEnabledAtVersion }: Manner) {
  return {
    ...(conflictResolver ? { conflictResolver } : {}),
    ...(migrationsEnabledAtVersion ? { migrationsEnabledAtVersion } : {}),
  }
}

async function pullRound(args: PullArgs, context: RunContext, result: SyncResult, way: Way) {
  context.onPull()
  await ensureOwner(context.database, context.manner.as)
  const options = pullOptions(context)
  if (way.isTurbo) {
    const syncJson = await pullText(args, options)
    Object.assign(result, { isTurbo: true, pulled: null })
    return { answer: { syncJson }, applied: async () => {} }
  }
  const wanted = way.isFull ? { ...args, lastPulledAt: null, migration: null } : args
  const { answer, applied } = await watched(args, context, () => pull(wanted, options))
  if (way.isFull) {
    const { changes, resent } = await reconcile(markedOf(context), context.own, answer.changes)
    answer.changes = changes
    result.resent += resent
  }
  result.isReplacement ||= answer.experimentalStrategy === 'replacement'
  if (result.pulled !== null) result.pulled += countOf(answer.changes)
  return { answer, applied }
}

/** `applied`: to be called when the answer is in the database. */
async function watched({ lastPulledAt }: PullArgs, context: RunContext, ask: () => Promise<PullAnswer>) {
  const { database, own, onAccessLost, manner, signal } = context
  if (!onAccessLost) return { answer: await ask(), applied: async () => {} }
  const list = () => context.spaces.list({ as: manner.as, signal })
  const { answer, spaces } = await watchedPull(lastPulledAt, ask, { database, own, list, onAccessLost })
  return { answer, applied: async () => (spaces ? keepSpaces(database, spaces) : undefined) }
}

const markedOf = ({ database, watermelon: { Q } }: RunContext): Marked => ({ database, Q })

function pullOptions(context: RunContext): PullOptions {
  const { api, signal, manner, onProgress } = context
  const { as, pageSize } = manner
  const onPage = (records: number, pages: number, isLast: boolean) =>
    onProgress({ phase: 'pull', records, pages, isLast })
  return { api, as, signal, pageSize, onPage }
}

async function pushRound(
  args: PushArgs,
  context: RunContext,
  result: SyncResult,
  tables: string[],
): Promise<{ timestamp: number | null; unsynced: Record<string, string[]> }> {
  const { api, database, signal, numbers, own, manner, onProgress } = context
  const { as, partial, pushSize } = manner
  const { changes, held } = own.share(database, args.changes)
  const records = countOf(changes)
  result.held = Object.values(held).flat().length
  if (records === 0) return { timestamp: null, unsynced: held }
  let sent = 0
  const tell = (more: number) => onProgress({ phase: 'push', records, sent: (sent += more) })
  tell(0)
  let isInParts = false
  const onStored = async (part: Changes, rejected: Record<string, string[]>) => {
    isInParts = true
    await markSynced(markedOf(context), part, rejected)
    tell(countOf(part) - Object.values(rejected).flat().length)
  }
  const options = { api, as, signal, numbers, partial }
  const { lastPulledAt } = args
  const answer = await pushAll({ changes, lastPulledAt }, options, { tables, onStored, size: pushSize })
  if (isInParts) forget(args.changes)
  if (sent < records) tell(records - sent)
  result.rejected = answer.rejected
  result.pushed += records - answer.rejected.length
  return { timestamp: answer.timestamp, unsynced: joined(held, idsByTable(answer.rejected)) }
}

function joined(a: Record<string, string[]>, b: Record<string, string[]>): Record<string, string[]> {
  const tables = [...new Set([...Object.keys(a), ...Object.keys(b)])]
  return Object.fromEntries(tables.map((table) => [table, [...(a[table] ?? []), ...(b[table] ?? [])]]))
}

/** WatermelonDB marks these very lists as synced, in a time that grows with their square: done already. */
function forget(changes: Changes): void {
  for (const table of Object.keys(changes)) changes[table] = { created: [], updated: [], deleted: [] }
}
