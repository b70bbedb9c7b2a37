// What stories at random are made of, and what became of each edit.

import assert from 'node:assert/strict'

const TEXTS = { projects: ['name'], tasks: ['title', 'description'] }

/** Mulberry32: the same numbers for the same seed. */
export function random(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Every text is written once, so that the text that is left in the end tells whose edit it was. */
export class Ledger {
  edits = new Map() // text -> {place, firstSent, lastHeard, acknowledged}
  twins = new Set() // ids of more than one record, of which nothing is known

  written(text, table, id, column, writer) {
    const place = `${table}#${id}.${column}`
    const unsent = { firstSent: Infinity, lastHeard: -Infinity, acknowledged: false }
    this.edits.set(text, { place, writer, ...unsent })
  }

  /** A push is sent; until it is acknowledged, what `isStored` says, nobody knows when it arrives. */
  pushing(changes) {
    const sent = performance.now()
    const edits = []
    for (const [table, columns] of Object.entries(TEXTS)) {
      for (const record of [...changes[table].created, ...changes[table].updated]) {
        const written = columns.map((column) => this.edits.get(record[column])).filter(Boolean)
        edits.push(...written.map((edit) => ({ edit, table, id: record.id })))
      }
    }
    for (const { edit } of edits) edit.firstSent = Math.min(edit.firstSent, sent)
    const before = edits.map(({ edit }) => edit.lastHeard)
    for (const { edit } of edits) edit.lastHeard = Infinity
    return async (isStored = () => true) => {
      for (const [index, { edit, table, id }] of edits.entries()) {
        if (!isStored(table, id)) continue
        edit.lastHeard = Math.max(before[index], performance.now())
        edit.acknowledged = true
      }
    }
  }

  /** It was deleted, as this writer was told: a deletion wins over an edit. */
  deleted(table, id, writer) {
    for (const edit of this.edits.values()) {
      if (edit.writer === writer && edit.place.startsWith(`${table}#${id}.`)) {
        edit.acknowledged = false
      }
    }
  }

  /** What is left of each place was not written before an edit of it that was acknowledged. */
  check(records) {
    const left = new Map()
    for (const [table, columns] of Object.entries(TEXTS)) {
      for (const [id, record] of Object.entries(records[table])) {
        if (this.twins.has(id)) continue
        for (const column of columns) left.set(`${table}#${id}.${column}`, record[column])
      }
    }
    for (const [text, { place, firstSent, acknowledged }] of this.edits) {
      if (!acknowledged || !left.has(place) || left.get(place) === text) continue
      const winner = this.edits.get(left.get(place))
      assert.ok(winner, `${place}: nobody wrote ${left.get(place)}, but ${text} was acknowledged`)
      assert.ok(winner.lastHeard >= firstSent, `${place}: ${text} is lost to an earlier edit`)
    }
  }
}
