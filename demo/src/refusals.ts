// What the server did not store of a push with `allowPartial`, and why (docs/your-code.md).
import type { Json } from './exchange'

/** `code`: the server's word for it; `text`: for the person. */
export type Refusal = { id: string; code: string; text: string }

type Lists<T> = { [list: string]: T }
type Pushed = { [table: string]: Lists<(string | { id?: unknown })[]> }
type Answer = {
  rejected?: { [table: string]: { [id: string]: string } }
  errors?: { changes?: { [table: string]: Lists<{ [index: string]: unknown }> } }
}

/** One for each record that is not stored. */
export function refusalsOf(pushed: Pushed, answer: Json): Refusal[] {
  const { rejected = {}, errors = {} } = answer as Answer
  return Object.entries(rejected).flatMap(([table, codes]) => {
    const texts = textsById(pushed[table] ?? {}, errors.changes?.[table] ?? {})
    return Object.entries(codes).map(([id, code]) => ({ id, code, text: texts[id] ?? code }))
  })
}

/** The server names places in the push: {list: {index: {column: [texts]}}}, or [texts] there. */
function textsById(pushed: Pushed[string], places: Lists<{ [index: string]: unknown }>) {
  const texts: { [id: string]: string } = {}
  for (const [list, found] of Object.entries(places)) {
    for (const [index, said] of Object.entries(found)) {
      const one = pushed[list]?.[Number(index)]
      const id = typeof one === 'string' ? one : String(one?.id)
      texts[id] = Object.values(said as object).flat().join(' ')
    }
  }
  return texts
}
