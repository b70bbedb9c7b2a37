/** Lists of changes, as they travel: counted, joined, and what was refused of them. */

import { isObject } from './http.js'

export type RawRecord = Record<string, unknown>

export interface TableChanges {
  created: RawRecord[]
  updated: RawRecord[]
  deleted: string[]
}

export type Changes = Record<string, TableChanges>

const LISTS = ['created', 'updated', 'deleted'] as const

/** A record that the server did not take in a partial push; it stays unsynced on this device. */
export interface RejectedRecord {
  table: string
  id: string
  /** By column, or sentences about the record as a whole. null for what fell with its parent. */
  reasons: Record<string, unknown> | string[] | null
}

export function countOf(changes: Changes): number {
  const lengths = Object.values(changes).flatMap((table) => LISTS.map((list) => table[list].length))
  return lengths.reduce((sum, length) => sum + length, 0)
}

/** Adds the changes of another page. */
export function addChanges(all: Changes, page: Changes): void {
  for (const [table, lists] of Object.entries(page)) {
    const into = (all[table] ??= { created: [], updated: [], deleted: [] })
    append(into.created, lists.created)
    append(into.updated, lists.updated)
    append(into.deleted, lists.deleted)
  }
}

function append<T>(all: T[], more: T[]): void {
  for (const one of more) all.push(one) // a spread of a hundred thousand overflows the stack
}

/** The records of `rejectedIds`, with the reasons that `errors` has for their places in `sent`. */
export function rejectedRecords(sent: Changes, answer: Record<string, unknown>): RejectedRecord[] {
  const { experimentalRejectedIds: ids = {}, errors } = answer
  const places = isObject(errors) && isObject(errors['changes']) ? errors['changes'] : {}
  return Object.entries(ids as Record<string, string[]>).flatMap(([table, rejected]) => {
    const reasons = reasonsById(sent[table], places[table])
    return rejected.map((id) => ({ table, id, reasons: reasons.get(id) ?? null }))
  })
}

type Reasons = Record<string, unknown> | string[]

/** `places`: `{list: {index: reasons}}`, or sentences about the whole table (`unknown_table`). */
function reasonsById(sent: TableChanges | undefined, places: unknown): Map<string, Reasons> {
  const found = new Map<string, Reasons>()
  for (const list of sent ? LISTS : []) {
    const lists = isObject(places) ? places[list] : undefined
    for (const [index, one] of (sent as TableChanges)[list].entries()) {
      const reasons = isObject(lists) ? lists[index] : Array.isArray(places) ? places : undefined
      if (reasons !== undefined) found.set(idOf(one), reasons as Reasons)
    }
  }
  return found
}

function idOf(one: RawRecord | string): string {
  return typeof one === 'string' ? one : String(one['id'])
}
