/** What the answers to a sync must look like before anything of them counts. As shapes.ts. */

import { idOf, LISTS, type Changes, type RawRecord } from './changes.js'
import { isObject, parsed } from './http.js'
import type { PullAnswer } from './pull.js'
import { isBoolean, isText, need, withFields, type Json, type Kind } from './shapes.js'

export interface Page extends PullAnswer {
  /** What asks for the next one; null after the last. */
  cursor: string | null
}

/** The pages of one pull, looked at one by one: contract pull 1 to 7. */
export class Pages {
  private readonly seen = new Map<string, Set<string>>()
  private before: Page | undefined

  /** `since`: the `lastPulledAt` that was sent; `isPaged`: whether a `limit` was. */
  constructor(
    private readonly since: number,
    private readonly isPaged: boolean,
  ) {}

  next(text: string): Page {
    const { changes, timestamp, cursor, experimentalStrategy } = parsed(text)
    this.needClock(timestamp)
    this.needStrategy(experimentalStrategy)
    this.needCursor(cursor)
    need(isObject(changes), 'changes')
    for (const [table, lists] of Object.entries(changes as Json)) this.needTable(table, lists)
    const strategy = experimentalStrategy === undefined ? {} : { experimentalStrategy }
    this.before = { changes, timestamp, cursor: cursor ?? null, ...strategy } as Page
    return this.before
  }

  private needClock(timestamp: unknown): void {
    need(isClock(timestamp, this.since), 'timestamp')
    need(!this.before || timestamp === this.before.timestamp, 'timestamp')
  }

  private needStrategy(strategy: unknown): void {
    const place = 'experimentalStrategy'
    need(strategy === undefined || (strategy === 'replacement' && this.since > 0), place)
    need(!this.before || strategy === this.before.experimentalStrategy, place)
  }

  private needCursor(cursor: unknown): void {
    need(this.isPaged ? cursor === null || isText(cursor) : cursor === undefined, 'cursor')
    need(!cursor || cursor !== this.before?.cursor, 'cursor')
  }

  private needTable(table: string, lists: unknown): void {
    const place = `changes.${table}`
    need(isObject(lists) && !(table in {}), place)
    const ids = this.seen.get(table) ?? new Set<string>()
    this.seen.set(table, ids)
    for (const list of LISTS) {
      const all = (lists as Json)[list]
      need(Array.isArray(all), `${place}.${list}`)
      if (!this.since && list !== 'created') need((all as unknown[]).length === 0, `${place}.${list}`)
      const isOne = (list === 'deleted' ? isId : isRecord) as Kind
      for (const [index, one] of (all as unknown[]).entries()) {
        const isNew = isOne(one) && ids.size < ids.add(idOf(one as RawRecord | string)).size
        if (!isNew) need(false, `${place}.${list}[${index}]`)
      }
    }
  }
}

export interface PushedAnswer {
  timestamp: number | null
  /** What was not stored, with the code of each, and reasons for people. */
  rejected: Record<string, Record<string, string>>
  errors: Json
}

/** The answer to a push of `sent`, with `allowPartial` or without (contract push 6 and 7). */
export function pushAnswer(
  text: string,
  sent: { changes: Changes; lastPulledAt: number },
  partial: boolean,
): PushedAnswer {
  const { timestamp, experimentalRejectedIds: ids, rejected, errors } = parsed(text)
  need(timestamp === null || isClock(timestamp, sent.lastPulledAt), 'timestamp')
  if (!partial) {
    need(ids === undefined, 'experimentalRejectedIds')
    return { timestamp: timestamp as number | null, rejected: {}, errors: {} }
  }
  need(isObject(ids), 'experimentalRejectedIds')
  need(isObject(rejected), 'rejected')
  need(isObject(errors), 'errors')
  for (const table of Object.keys({ ...(ids as Json), ...(rejected as Json) })) {
    needRejected(table, sent.changes, (ids as Json)[table], (rejected as Json)[table])
  }
  need(timestamp === null || Object.keys(rejected as Json).length === 0, 'timestamp')
  return { timestamp, rejected, errors } as PushedAnswer
}

/** The same records in both, each with a code, and all of them sent. */
function needRejected(table: string, changes: Changes, ids: unknown, codes: unknown): void {
  const place = `experimentalRejectedIds.${table}`
  const lists = table in {} ? undefined : changes[table]
  const sent = new Set(LISTS.flatMap((list) => (lists?.[list] ?? []).map(idOf)))
  const named = Array.isArray(ids) ? new Set(ids) : undefined
  need(named !== undefined && (ids as unknown[]).every((id) => sent.has(id as string)), place)
  need(isObject(codes) && Object.keys(codes).length === named?.size, `rejected.${table}`)
  for (const [id, code] of Object.entries(codes as Json)) {
    need(isText(code) && Boolean(named?.has(id)), `rejected.${table}.${id}`)
  }
}

const VERDICT = { count: isCount, checksum: isCount, identical: isBoolean }

/** `asked`: the tables that were named. */
export function verdictAnswer(text: string, asked: readonly string[]): Json {
  const answer = parsed(text)
  const { identical } = answer
  need(identical === null || isBoolean(identical), 'identical')
  need(isObject(answer['tables']), 'tables')
  const tables = answer['tables'] as Json
  const expected = identical === null ? [] : asked
  need(Object.keys(tables).length === expected.length, 'tables')
  const found = expected.map((table) => withFields(tables[table], VERDICT, `tables.${table}`))
  need(identical === null || identical === found.every((one) => one['identical']), 'identical')
  return answer
}

/** Where a column is of another kind than the app's, WatermelonDB puts it right. */
function isRecord(value: unknown): boolean {
  if (!isObject(value) || !isId(value['id'])) return false
  if (FORBIDDEN.some((name) => hasOwn.call(value, name))) return false
  for (const name in value) {
    if (typeof value[name] === 'object' && value[name] !== null) return false
  }
  return true
}

const FORBIDDEN = ['_status', '_changed', '__proto__'] // WatermelonDB's own, or its end
const hasOwn = Object.prototype.hasOwnProperty

/** Contract push 11. */
function isId(value: unknown): value is string {
  return typeof value === 'string' && /^[\w.-]{1,36}$/.test(value)
}

function isClock(value: unknown, since: number): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0 && (value as number) >= since
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
