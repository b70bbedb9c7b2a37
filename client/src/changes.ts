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
  return Object.values(changes).flatMap((table) => LISTS.map((list) => table[list].length))
    .reduce((sum, length) => sum + length, 0)
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

function reasonsById(sent: TableChanges | undefined, places: unknown) {
  const found = new Map<string, Record<string, unknown> | string[]>()
  if (!sent) return found
  if (Array.isArray(places)) { // the whole table: `unknown_table`
    for (const list of LISTS) for (const one of sent[list]) found.set(idOf(one), places as string[])
  }
  if (!isObject(places)) return found
  for (const list of LISTS) {
    for (const [index, reasons] of Object.entries(isObject(places[list]) ? places[list] : {})) {
      const one = sent[list][Number(index)]
      if (one !== undefined) found.set(idOf(one), reasons as Record<string, unknown> | string[])
    }
  }
  return found
}

function idOf(one: RawRecord | string): string {
  return typeof one === 'string' ? one : String(one['id'])
}
