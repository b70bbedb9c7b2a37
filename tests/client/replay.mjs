// Makes the moves of a story (MOVES, JSON) on phones with the stock client; writes to SEEN what each
// move pushed, and what its phone held then. For tests/plugin/test_stock.py.

import { readFileSync, writeFileSync } from 'node:fs'
import { Account } from './account.js'
import { HttpError } from './phone.js'

const byId = (one, other) => ((one.id ?? one) < (other.id ?? other) ? -1 : 1)

async function held(phone) {
  const tables = {}
  for (const table of Object.keys(phone.database.schema.tables)) {
    const found = await phone.database.get(table).query().fetch()
    tables[table] = found.map(({ _raw }) => ({ ..._raw })).sort(byId)
  }
  return tables
}

/** null for none; the order of records is no promise. */
function sorted(changes) {
  if (!changes) return null
  const lists = (found) => Object.entries(found).map(([list, all]) => [list, [...all].sort(byId)])
  const tables = Object.entries(changes).map(([name, found]) => [name, Object.fromEntries(lists(found))])
  return Object.fromEntries(tables)
}

async function synced(phone, { lose, partial, between }, phones) {
  phone.allowPartial = partial
  const other = between === null ? undefined : phones[between]
  if (other) other.allowPartial = true
  const beforePush = other && (() => other.sync())
  try {
    await phone.sync({ loseAnswer: lose ?? undefined, beforePush })
    return 'ok'
  } catch (error) {
    if (error instanceof HttpError) return error.problem.code
    if (error instanceof TypeError && error.message === 'fetch failed') return 'lost'
    throw error
  }
}

async function made(move, phones) {
  const phone = phones[move.phone]
  const { table, id, values } = move
  if (move.do === 'create') await phone.create(table, values)
  else if (move.do === 'update') await phone.edit(table, id, values)
  else if (move.do === 'delete') await phone.remove(table, id)
  else {
    const outcome = await synced(phone, move, phones)
    return { outcome, pushed: sorted(phone.traffic.pushed), held: await held(phone) }
  }
  return { held: await held(phone) }
}

const seen = []
for (const moves of JSON.parse(readFileSync(process.env.MOVES, 'utf8'))) {
  const account = new Account()
  const phones = [await account.phone(), await account.phone()]
  const story = []
  for (const move of moves) story.push(await made(move, phones))
  seen.push(story)
}
writeFileSync(process.env.SEEN, JSON.stringify(seen))
process.exit()
