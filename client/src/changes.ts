/** Lists of changes, as they travel: counted, joined, and what was refused of them. */

import type { PushedAnswer } from './answers.js'
import { isObject } from './http.js'

export type RawRecord = Record<string, unknown>

export interface TableChanges {
  created: RawRecord[]
  updated: RawRecord[]
  deleted: string[]
}

export type Changes = Record<string, TableChanges>

export const LISTS = ['created', 'updated', 'deleted'] as const

/** A record that the server did not take in a partial push; it stays unsynced on this device. */
export interface RejectedRecord {
  table: string
  id: string
  /** By column, or sentences about the record as a whole. null for what fell with its parent. */
  reasons: Record<string, unknown> | string[] | null
  /** The server's word for it: `validation_failed`, `sync_conflict`, `refused` … (contract push 6). */
  code: string
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
export function rejectedRecords(sent: Changes, { rejected, errors }: PushedAnswer): RejectedRecord[] {
  const places = isObject(errors['changes']) ? errors['changes'] : {}
  return Object.entries(rejected).flatMap(([table, codes]) => {
    const reasons = reasonsById(sent[table], places[table])
    const reasonOf = (id: string) => reasons.get(id) ?? null
    return Object.entries(codes).map(([id, code]) => ({ table, id, reasons: reasonOf(id), code }))
  })
}

/** The ids of these records by table, as WatermelonDB wants to be told. */
export function idsByTable(rejected: readonly RejectedRecord[]): Record<string, string[]> {
  const ids: Record<string, string[]> = {}
  for (const { table, id } of rejected) (ids[table] ??= []).push(id)
  return ids
}

type Reasons = Record<string, unknown> | string[]

/** `places`: `{list: {index: reasons}}`, or sentences about the whole table (`unknown_table`). */
function reasonsById(sent: TableChanges | undefined, places: unknown): Map<string, Reasons> {
  const found = new Map<string, Reasons>()
  for (const list of sent ? LISTS : []) {
    const lists = isObject(places) ? places[list] : undefined
    for (const [index, one] of (sent as TableChanges)[list].entries()) {
      const reasons = isObject(lists) ? lists[index] : Array.isArray(places) ? places : undefined
      if (isObject(reasons) || Array.isArray(reasons)) found.set(idOf(one), reasons as Reasons)
    }
  }
  return found
}

/** Of a record, or of a deletion, which is one. */
export function idOf(one: RawRecord | string): string {
  return typeof one === 'string' ? one : String(one['id'])
}
