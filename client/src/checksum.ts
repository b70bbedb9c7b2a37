/** The checksum of docs/verify.md: CRC-32 of a record's `id` and columns, summed over a table. */

import type { RawRecord } from './changes.js'

const POLYNOMIAL = 0xedb88320 // CRC-32 as in zip and PNG

const TABLE = Int32Array.from({ length: 256 }, (_, n) => {
  let value = n
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1
  return value
})

const scratch = new DataView(new ArrayBuffer(8))

/** The CRC-32 of `id` and then of these columns, in the order of their names. */
export function recordChecksum(record: RawRecord, columns: readonly string[]): number {
  let crc = -1
  const add = (byte: number) => {
    crc = (TABLE[(crc ^ byte) & 255] as number) ^ (crc >>> 8)
  }
  for (const name of ['id', ...[...columns].sort(byCodePoint)]) addValue(record[name], add)
  return (crc ^ -1) >>> 0
}

/** The plain sum: exact in a double for two million records. */
export function tableChecksum(records: readonly RawRecord[], columns: readonly string[]): number {
  return records.reduce((sum, record) => sum + recordChecksum(record, columns), 0)
}

type Add = (byte: number) => void

function addValue(value: unknown, add: Add): void {
  if (value === null || value === undefined) add(0x6e)
  else if (typeof value === 'boolean') add(value ? 0x74 : 0x66)
  else if (typeof value === 'string') addString(value, add)
  else addDouble(value as number, add)
}

function addDouble(value: number, add: Add): void {
  add(0x64)
  scratch.setFloat64(0, value)
  for (let at = 0; at < 8; at += 1) add(scratch.getUint8(at))
}

/** UTF-8 by hand: not every Hermes has a `TextEncoder`. */
function addString(text: string, add: Add): void {
  add(0x73)
  for (const character of text) addCodePoint(character.codePointAt(0) as number, add)
  add(0)
}

function addCodePoint(point: number, add: Add): void {
  const code = point >= 0xd800 && point <= 0xdfff ? 0xfffd : point // half a pair is no character
  if (code < 0x80) return add(code)
  if (code < 0x800) add(0xc0 | (code >> 6))
  else {
    if (code < 0x10000) add(0xe0 | (code >> 12))
    else {
      add(0xf0 | (code >> 18))
      add(0x80 | ((code >> 12) & 63))
    }
    add(0x80 | ((code >> 6) & 63))
  }
  return add(0x80 | (code & 63))
}

function byCodePoint(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}
