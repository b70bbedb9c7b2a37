/** A push of more than the server takes at once, in parts.
 *
 * Each is stored or not as a whole, and marked as synced by itself: one that is cut off goes on with the
 * rest. Parents go first, as far as the phone knows them; what waits for its parent is sent again after
 * the others. Deletions go last.
 */

import { countOf, idOf, idsByTable, LISTS, type Changes, type RawRecord, type RejectedRecord } from './changes.js'
import { PayloadTooLargeError, ValidationError } from './errors.js'
import { push, type PushAnswer, type PushArgs, type PushOptions } from './push.js'

export const PART = 10_000 // records and deletions

type List = (typeof LISTS)[number]

interface Item {
  table: string
  list: List
  one: RawRecord | string
}

/** Told of each part that is stored, and of what was not stored of it. */
export type OnStored = (sent: Changes, rejected: Record<string, string[]>) => Promise<void>

/** In one push, if it can be. `tables`: as the server told them in its last pull, parents first; `onStored`
 * only where there are several pushes. Throws as `push` does. */
export async function pushAll(
  args: PushArgs,
  options: PushOptions,
  { tables, onStored, size = PART }: { tables: string[]; onStored: OnStored; size?: number },
): Promise<PushAnswer> {
  const count = countOf(args.changes)
  const most = Math.min(Math.max(1, Math.floor(size)), PART)
  if (count <= most) {
    try {
      return await push(args, options)
    } catch (error) {
      if (!(error instanceof PayloadTooLargeError) || count === 1) throw error
    }
  }
  return new Upload(args.lastPulledAt, options, onStored).run(itemsOf(args.changes, tables), count, most)
}

class Upload {
  private timestamp: number | null = 0
  private readonly rejected: RejectedRecord[] = []

  constructor(
    private readonly lastPulledAt: number,
    private readonly options: PushOptions,
    private readonly onStored: OnStored,
  ) {}

  async run(items: Item[], count: number, most: number): Promise<PushAnswer> {
    const size = count > most ? most : Math.ceil(count / 2)
    let rest = await this.pass(items, size, false)
    for (let before = items.length; rest.length && rest.length < before; ) {
      before = rest.length
      rest = await this.pass(rest, size, false)
    }
    await this.pass(rest, size, true)
    const { timestamp, rejected } = this
    return { timestamp, rejected }
  }

  /** What waits for its parent. Parts that are too large are halved. */
  private async pass(items: Item[], most: number, isLast: boolean): Promise<Item[]> {
    const waiting: Item[] = []
    let size = most
    for (let at = 0; at < items.length; ) {
      const part = items.slice(at, at + size)
      try {
        for (const item of await this.part(part, isLast)) waiting.push(item)
        at += part.length
      } catch (error) {
        if (!(error instanceof PayloadTooLargeError) || part.length === 1) throw error
        size = Math.ceil(part.length / 2)
      }
    }
    return waiting
  }

  private async part(items: Item[], isLast: boolean): Promise<Item[]> {
    const changes = changesOf(items)
    const { answer, waits } = await this.send(changes, isLast)
    await this.onStored(changes, idsByTable(answer.rejected))
    if (answer.timestamp === null || this.timestamp === null) this.timestamp = null
    else this.timestamp = answer.timestamp
    const later = new Set<string>()
    for (const refused of answer.rejected) {
      if (waits(refused)) later.add(keyOf(refused.table, refused.id))
      else this.rejected.push(refused)
    }
    return items.filter(({ table, one }) => later.has(keyOf(table, idOf(one))))
  }

  /** Without `partial`, one that lacks parents is sent again for the records that do not: what is refused
   * then is refused once more at the end, with the server's own error. */
  private async send(changes: Changes, isLast: boolean) {
    const args = { changes, lastPulledAt: this.lastPulledAt }
    try {
      const answer = await push(args, this.options)
      return { answer, waits: ({ code }: RejectedRecord) => !isLast && code === 'unknown_parent' }
    } catch (error) {
      const lacksParents = error instanceof ValidationError && error.code === 'unknown_parent'
      if (isLast || !lacksParents) throw error
      return { answer: await push(args, { ...this.options, partial: true }), waits: () => true }
    }
  }
}

function itemsOf(changes: Changes, tables: string[]): Item[] {
  const known = new Set([...tables, ...Object.keys(changes)])
  const all = [...known].flatMap((table) => {
    const lists = changes[table]
    return LISTS.flatMap((list) => (lists?.[list] ?? []).map((one) => ({ table, list, one })))
  })
  const isDeletion = ({ list }: Item) => list === 'deleted'
  return [...all.filter((item) => !isDeletion(item)), ...all.filter(isDeletion)]
}

function changesOf(items: Item[]): Changes {
  const changes: Changes = {}
  for (const { table, list, one } of items) {
    const lists = (changes[table] ??= { created: [], updated: [], deleted: [] })
    ;(lists[list] as (RawRecord | string)[]).push(one)
  }
  return changes
}

function keyOf(table: string, id: string): string {
  return `${table}/${id}`
}
