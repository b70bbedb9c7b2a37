/** Who is signed in, and with which tokens.
 *
 * What this keeps: of many calls that find the token expired, one refreshes. The new pair is stored
 * before the old one goes. A refresh whose answer is lost is repeated: the server answers the predecessor
 * again until something of the new pair has been used. Only the server's word signs anybody out, never the network. Nothing is
 * remembered outside the storage, so that a second tab's refresh, or its logout, counts here at once.
 */

import { AbortError, isTokenProblem, SignedOutError, StorageError, type ApiError } from './errors.js'
import type { Listener } from './events.js'
import { Guests } from './guests.js'
import type { Send } from './http.js'
import { exclusive } from './locks.js'
import { retrying } from './retry.js'
import * as sessions from './session.js'
import type { Session, TokenAnswer, User } from './session.js'
import { tokenAnswer } from './shapes.js'
import { guarded, type GuardedStorage, type MelonStorage } from './storage.js'
import { Waiting } from './waiting.js'

// Short: a call waits for it, and the next one tries again.
const REFRESH_TIMEOUT_MS = 6_000
const REFRESH_POLICY = { attempts: 4, baseMs: 300, maxMs: 1_500 }

export interface TokensOptions {
  root: string
  storage: MelonStorage
  send: Send
  tell: Listener
}

export class Tokens {
  private readonly storage: GuardedStorage
  private refreshing: Promise<Session> | undefined
  private leaving = new AbortController()
  /** A pair that the storage would not take: nothing is done with it before it is stored. */
  private unsaved: Session | undefined

  /** Who has signed in here, and has not synced yet. */
  readonly waiting: Waiting
  /** Who was a guest here, until somebody signed in to another account. */
  readonly guests: Guests

  constructor(private readonly options: TokensOptions) {
    this.storage = guarded(options.storage)
    this.waiting = new Waiting(options.storage)
    this.guests = new Guests(options.storage, this.waiting)
  }

  /** The session, or null when nobody is signed in. Throws `StorageError`. */
  async session(): Promise<Session | null> {
    const stored = await sessions.loadSession(this.storage, this.options.root)
    const { unsaved } = this
    return unsaved && stored && unsaved.seq > stored.seq ? unsaved : stored
  }

  /** Who is signed in. Throws `SignedOutError`, `StorageError`. */
  async accountId(): Promise<string> {
    const session = await this.session()
    if (!session) throw new SignedOutError('signed_out')
    return session.user.id
  }

  /** A session whose access token lives. Throws `SignedOutError`, `NetworkError`, `StorageError`. */
  async fresh(): Promise<Session> {
    const session = await this.session()
    if (!session) throw new SignedOutError('signed_out')
    if (session === this.unsaved) await this.alone(() => this.saveAgain(session))
    return sessions.isFresh(session) ? session : this.refreshed(session.access)
  }

  /** The session with another access token than this one, which the server does not take. */
  refreshed(failed: string): Promise<Session> {
    this.refreshing ??= this.alone(() => this.rotate(failed)).finally(() => {
      this.refreshing = undefined
    })
    return this.refreshing
  }

  /** Signs in with a token answer. */
  open(user: User, answer: TokenAnswer): Promise<Session> {
    return this.alone(async () => {
      const seq = (await this.lastSeq()) + 1
      const before = await sessions.readable(() => this.session())
      if (before?.user.is_guest && before.user.id !== user.id) await this.guests.note(before, user.id)
      await this.waiting.add(user.id)
      const session = sessions.withTokens({ seq, root: this.options.root, user }, answer)
      this.unsaved = undefined
      await sessions.saveSession(this.storage, session)
      this.options.tell({ type: 'signed_in', user })
      return session
    })
  }

  /** Signs out here, whatever the network or the storage does; the session that was, or null. */
  close(reason: string): Promise<Session | null> {
    this.leaving.abort() // a refresh under way may take half a minute
    this.leaving = new AbortController()
    return this.alone(() => this.forget(reason))
  }

  /** Signs out whom the server has, unless another one has signed in by now. */
  async closed(userId: string): Promise<void> {
    await this.alone(async () => {
      if ((await this.session())?.user.id === userId) await this.forget('logout')
    })
  }

  /** Keeps what the server says of the account now. */
  update(user: User): Promise<void> {
    return this.alone(async () => {
      const session = await this.session()
      const isNews = JSON.stringify(session?.user) !== JSON.stringify(user)
      if (session?.user.id !== user.id || !isNews) return
      await this.save({ ...session, user, seq: session.seq + 1 })
    })
  }

  private alone<T>(work: () => Promise<T>): Promise<T> {
    return exclusive(this.options.storage, 'tokens', this.options.root, work)
  }

  private async rotate(failed: string): Promise<Session> {
    const held = await this.session()
    if (!held) throw new SignedOutError('signed_out')
    await this.saveAgain(held)
    if (held.access !== failed) return held // another call, or tab, was faster
    try {
      const answer = await this.ask(held.refresh)
      return await this.replace(held, sessions.withTokens({ ...held, seq: held.seq + 1 }, answer))
    } catch (error) {
      if (error instanceof AbortError) throw new SignedOutError('signed_out')
      if (!isTokenProblem(error)) throw error
      return this.ended(held, error)
    }
  }

  private async ask(refresh: string): Promise<TokenAnswer> {
    const request = { method: 'POST', path: '/auth/refresh', token: refresh } as const
    const { signal } = this.leaving
    const send = () => this.options.send({ ...request, signal, timeoutMs: REFRESH_TIMEOUT_MS })
    const onRetry = (note: { attempt: number; delayMs: number; error: Error }) =>
      this.options.tell({ type: 'retry', path: request.path, ...note })
    return retrying(async () => tokenAnswer(await send()), {
      policy: REFRESH_POLICY,
      repeat: 'always',
      signal,
      onRetry,
    })
  }

  /** Stores the new pair, unless somebody outside our lock has gone on from the old one meanwhile. */
  private async replace(held: Session, next: Session): Promise<Session> {
    const now = await this.session()
    if (!now) throw new SignedOutError('signed_out')
    if (now.refresh !== held.refresh) return now
    await this.save(next)
    return next
  }

  private async saveAgain(session: Session): Promise<void> {
    if (session === this.unsaved) await this.save(session)
  }

  private async save(session: Session): Promise<void> {
    try {
      await sessions.saveSession(this.storage, session)
      this.unsaved = undefined
    } catch (error) {
      if (error instanceof StorageError) this.unsaved = session
      throw error
    }
  }

  /** The server refused the refresh token: signed out, unless it was not the newest one any more. */
  private async ended(held: Session, error: ApiError): Promise<Session> {
    const now = await this.session()
    if (now && now.refresh !== held.refresh) return now
    await this.forget(error.code)
    throw new SignedOutError(error.code, error)
  }

  /** Of slots that cannot be read any more nothing is kept: whoever signs in gets out of it. */
  private async lastSeq(): Promise<number> {
    const seq = await sessions.readable(() => sessions.lastSeq(this.storage))
    if (seq === null) await sessions.removeSessions(this.storage)
    return seq ?? -1
  }

  private async forget(reason: string): Promise<Session | null> {
    const session = await sessions.readable(() => this.session())
    this.unsaved = undefined
    await sessions.removeSessions(this.storage)
    if (session) this.options.tell({ type: 'signed_out', user: session.user, reason })
    return session
  }
}
