// What is kept of one call, for the view of the wire.
import type { Told } from './live'

export type Json = { [key: string]: unknown } | null
export type Counts = { created: number; updated: number; deleted: number }

/** What became of a call: an HTTP status; `offline`: nothing was sent; `silent`: nobody answered;
 * `lost`: the server answered, and the phone never heard of it. */
export type Outcome = number | Silence
export type Silence = 'offline' | 'silent' | 'lost'

export type Exchange = {
  id: number
  at: Date
  path: string
  outcome: Outcome
  up: number // bytes of the request's body
  down: number // bytes of the answer's body, as it travelled
  changes: { [table: string]: Counts }
  clock: { from: number | null; to: number | null } // lastPulledAt, timestamp
  sent: Json
  received: Json
  times: number // pulls in a row that found nothing are one line
}

/** What came by itself: an event, or another way to listen. */
export type Heard = { id: number; at: Date; told: Told }
export type Entry = Exchange | Heard

export const isHeard = (entry: Entry): entry is Heard => 'told' in entry

/** A call that is about to be made; `text` is its body. */
export function begun(id: number, path: string, body: Json, text: string): Exchange {
  return {
    id,
    at: new Date(),
    path,
    outcome: 'silent',
    up: new TextEncoder().encode(text).length,
    down: 0,
    changes: counted(body?.changes),
    clock: { from: (body?.lastPulledAt as number | null | undefined) ?? null, to: null },
    sent: shown(path, body),
    received: null,
    times: 1,
  }
}

/** The same, answered. */
export function answered(call: Exchange, outcome: Outcome, body: Json, down: number): Exchange {
  const to = (body?.timestamp as number | null | undefined) ?? null
  const changes = body?.changes ? counted(body.changes) : call.changes
  const clock = { from: call.clock.from, to }
  return { ...call, outcome, down, changes, clock, received: shown(call.path, body) }
}

/** `entries` with a newer one before them; idle pulls in a row are one, with their number. */
export function joined(exchange: Exchange, entries: Entry[]): Entry[] {
  const [last, ...rest] = entries
  const isSame = last && !isHeard(last) && isIdle(last) && isIdle(exchange) && last.clock.to === exchange.clock.to
  if (!isSame) return [exchange, ...entries]
  return [{ ...exchange, id: last.id, times: last.times + 1 }, ...rest]
}

/** The sum over all tables. */
export function total(changes: Exchange['changes']): Counts {
  const sum = { created: 0, updated: 0, deleted: 0 }
  for (const counts of Object.values(changes)) {
    for (const kind of KINDS) sum[kind] += counts[kind]
  }
  return sum
}

const KINDS = ['created', 'updated', 'deleted'] as const

function isIdle({ path, outcome, changes, clock }: Exchange): boolean {
  const { created, updated, deleted } = total(changes)
  const isKnown = clock.from !== null && clock.from === clock.to
  return path === '/sync/pull' && outcome === 200 && isKnown && created + updated + deleted === 0
}

function counted(changes: unknown): Exchange['changes'] {
  const tables = Object.entries((changes ?? {}) as Record<string, Record<string, unknown[]>>)
  const count = (lists: Record<string, unknown[]>) =>
    Object.fromEntries(KINDS.map((kind) => [kind, lists[kind]?.length ?? 0])) as Counts
  return Object.fromEntries(tables.map(([table, lists]) => [table, count(lists)]))
}

/** Passwords and tokens are nothing to look at; an error may be read. */
function shown(path: string, body: Json): Json {
  return path.startsWith('/sync/') || body?.code ? body : null
}
