// A phone's network: it can be cut, can lose an answer, and keeps what went over it, and what it heard.
import { signal } from '@preact/signals'
import { answered, begun, joined, type Entry, type Exchange, type Json, type Silence } from './exchange'
import type { Told } from './live'

const API = '/api/v1'
const PATIENCE_MS = 20_000
const KEPT = 30 // lines of a phone's log

export type Method = 'GET' | 'POST' | 'DELETE'

/** `retryAfter` in seconds, 0 where the server named no time. */
export type Answer = { status: number; body: Json; retryAfter: number }

/** No answer came; of `silent` and `lost` the phone cannot know whether the server did it. */
export class NoAnswer extends Error {
  constructor(readonly outcome: Silence) {
    super(outcome)
  }
}

export class Wire {
  readonly entries = signal<Entry[]>([])
  readonly isOnline = signal(true)
  readonly losesNextPush = signal(false)
  private count = 0

  /** Send `body` as JSON. Returns the answer, of whatever status. Throws NoAnswer. */
  async send(path: string, body: Json, token?: string, method: Method = 'POST'): Promise<Answer> {
    const text = body === null ? '' : JSON.stringify(body)
    const call = begun(++this.count, path, body, text)
    if (!this.isOnline.value) return this.fail({ ...call, outcome: 'offline', up: 0 })
    const response = await request(method, path, text, token)
    if (response === null) return this.fail(call)
    const { bytes, ...answer } = response
    if (this.takeLoss(path)) return this.fail(answered(call, 'lost', answer.body, bytes))
    this.keep(answered(call, answer.status, answer.body, bytes))
    return answer
  }

  /** What the phone heard goes to the log, too. */
  hear(told: Told): void {
    const heard = { id: ++this.count, at: new Date(), told }
    this.entries.value = [heard, ...this.entries.value].slice(0, KEPT)
  }

  private takeLoss(path: string): boolean {
    const isLost = path === '/sync/push' && this.losesNextPush.value
    if (isLost) this.losesNextPush.value = false
    return isLost || !this.isOnline.value // cut off while the answer was on its way
  }

  private fail(exchange: Exchange): never {
    this.keep(exchange)
    throw new NoAnswer(exchange.outcome as Silence)
  }

  private keep(exchange: Exchange): void {
    this.entries.value = joined(exchange, this.entries.value).slice(0, KEPT)
  }
}

/** null: nobody answered, or not in time. `bytes` is the body's size on the wire: of a packed one
 * the Content-Length. */
async function request(method: Method, path: string, text: string, token?: string) {
  const headers = new Headers(text ? { 'Content-Type': 'application/json' } : {})
  if (token) headers.set('Authorization', `Bearer ${token}`)
  const options = { method, headers, signal: AbortSignal.timeout(PATIENCE_MS) }
  try {
    const response = await fetch(API + path, { ...options, body: text || null })
    const data = await response.arrayBuffer()
    const bytes = Number(response.headers.get('Content-Length') ?? data.byteLength)
    const retryAfter = Number(response.headers.get('Retry-After') ?? 0)
    return { status: response.status, body: parsed(data), retryAfter, bytes }
  } catch {
    return null // fetch says of all this no more than "failed"
  }
}

/** null for an empty body, and for what is no JSON: a page of some proxy. */
function parsed(data: ArrayBuffer): Json {
  try {
    return JSON.parse(new TextDecoder().decode(data)) as Json
  } catch {
    return null
  }
}
