/** The signed-in session as it is stored: in two slots by turns, so that a new pair of tokens is there
 * whole before the old one is overwritten (a keychain deletes before it writes). */

import { StorageError } from './errors.js'
import { isObject } from './http.js'
import type { GuardedStorage } from './storage.js'

/** The account, as the server tells it; times in ISO 8601 UTC. */
export interface User {
  id: string
  /** null: a guest's, or that of an account whose provider has verified none. */
  email: string | null
  name: string | null
  is_active: boolean
  /** No address, no password, no identity. */
  is_guest: boolean
  has_password: boolean
  email_verified: boolean
  /** The providers that are linked: `['apple']`. */
  identities: string[]
  created_at: string
  updated_at: string
}

/** The token answer, with the names of RFC 6749 §5.1. */
export interface TokenAnswer {
  access_token: string
  refresh_token: string
  /** Seconds that the access token lives. */
  expires_in: number
}

export interface Session {
  /** Grows by one with each save; the highest counts. */
  seq: number
  /** The server that made the tokens: they are sent to no other. */
  root: string
  user: User
  access: string
  refresh: string
  /** By this device's clock, in ms. */
  obtainedAt: number
  expiresIn: number
}

const SLOTS = ['melon.session.0', 'melon.session.1'] as const
const MARGIN_SECONDS = 60

/** The newest whole session of this server, or null. Throws `StorageError`. */
export async function loadSession(storage: GuardedStorage, root: string): Promise<Session | null> {
  const texts = await Promise.all(SLOTS.map((slot) => storage.get(slot)))
  const newest = texts.map(read).reduce((a, b) => (b && b.seq > (a?.seq ?? -1) ? b : a), null)
  return newest?.root === root ? newest : null
}

/** Stores it beside the one before. Throws `StorageError`; the one before is then still there. */
export async function saveSession(storage: GuardedStorage, session: Session): Promise<void> {
  await storage.set(slotOf(session), JSON.stringify(session))
}

/** Nobody is signed in after this. The newest goes last: half done, it is not done. What cannot be read
 * any more goes all the same: a keychain may have lost its own key. */
export async function removeSessions(storage: GuardedStorage): Promise<void> {
  for (const slot of await newestLast(storage)) await storage.remove(slot)
}

async function newestLast(storage: GuardedStorage): Promise<readonly string[]> {
  const texts = await readable(() => Promise.all(SLOTS.map((slot) => storage.get(slot))))
  const [first = -1, second = -1] = (texts ?? []).map((text) => read(text)?.seq ?? -1)
  return first > second ? [SLOTS[1], SLOTS[0]] : SLOTS
}

/** What `work` reads, or null where the storage fails. */
export async function readable<T>(work: () => Promise<T>): Promise<T | null> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof StorageError) return null
    throw error
  }
}

/** The highest `seq` in the storage, of whatever server; -1 without any. */
export async function lastSeq(storage: GuardedStorage): Promise<number> {
  const texts = await Promise.all(SLOTS.map((slot) => storage.get(slot)))
  return Math.max(...texts.map((text) => read(text)?.seq ?? -1))
}

/** A session's next pair of tokens, or a new session's first. */
export function withTokens(base: Omit<Session, keyof Tokens>, answer: TokenAnswer): Session {
  const { access_token: access, refresh_token: refresh, expires_in: expiresIn } = answer
  return { ...base, access, refresh, expiresIn, obtainedAt: Date.now() }
}
type Tokens = Pick<Session, 'access' | 'refresh' | 'obtainedAt' | 'expiresIn'>

/** Whether the access token lives long enough for a call. After the clock was put back: no. */
export function isFresh({ obtainedAt, expiresIn }: Session, nowMs = Date.now()): boolean {
  const margin = Math.min(MARGIN_SECONDS, expiresIn / 5)
  const age = (nowMs - obtainedAt) / 1000
  return age >= 0 && age < expiresIn - margin
}

function slotOf({ seq }: Session): string {
  return seq % 2 ? SLOTS[1] : SLOTS[0]
}

/** null for a slot that is empty or was cut off while it was written. */
function read(text: string | null): Session | null {
  if (text === null) return null
  try {
    const value: unknown = JSON.parse(text)
    const isWhole = isObject(value) && typeof value['refresh'] === 'string' && isObject(value['user'])
    return isWhole ? (value as unknown as Session) : null
  } catch {
    return null
  }
}
