// What a phone pushed last. The stock client pulls it again, and its log counts it as somebody
// else's edit where the record has been edited since.
import type { Json } from './exchange'

type Raw = { [column: string]: unknown }
type Records = { [id: string]: Raw }
type Lists = { created: Raw[]; updated: Raw[] }

export class Pushed {
  private readonly key: string

  /** `key` names the phone to localStorage. */
  constructor(key: string) {
    this.key = `${key}-pushed`
  }

  /** To be called before a push is sent: it may arrive without an answer. A push before it has
   * been pulled by then. */
  keep(push: Json): void {
    const tables = Object.values((push?.changes ?? {}) as { [table: string]: Lists })
    const records = tables.flatMap(({ created, updated }) => [...created, ...updated])
    const byId = Object.fromEntries(records.map((record) => [record.id, record]))
    localStorage.setItem(this.key, JSON.stringify(byId))
  }

  get last(): Records {
    return JSON.parse(localStorage.getItem(this.key) ?? '{}') as Records
  }
}

/** Whether a pulled record is as it was pushed, in all columns. */
export function isAmong(pushed: Records, remote: Raw): boolean {
  const own = pushed[String(remote.id)]
  return own !== undefined && Object.keys(remote).every((name) => remote[name] === own[name])
}
