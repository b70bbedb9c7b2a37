/** Calls to the server: signed, refreshed when needed, repeated when that may help. */

import { abortable } from './abort.js'
import { isTokenProblem, SignedOutError } from './errors.js'
import type { Listener } from './events.js'
import type { HttpRequest, Send } from './http.js'
import { retrying, type Repeat, type RetryPolicy } from './retry.js'
import type { Session } from './session.js'
import type { Tokens } from './tokens.js'

export interface Call extends HttpRequest {
  repeat: Repeat
  /** Only as this account; without it, as the one that is signed in at the beginning. Once another one has
   * signed in it is a `SignedOutError`. */
  as?: string
}

export class Api {
  constructor(
    private readonly send: Send,
    private readonly tokens: Tokens,
    private readonly policy: RetryPolicy,
    private readonly tell: Listener,
  ) {}

  /** A call that needs nobody signed in. The text of the answer. */
  open(call: Call): Promise<string> {
    return this.again(call, () => this.send(call))
  }

  /** A call of the signed-in account. The text of the answer. */
  async signed(call: Call): Promise<string> {
    const as = call.as ?? (await this.tokens.accountId())
    return this.again(call, () => this.withToken({ ...call, as }))
  }

  private again(call: Call, work: () => Promise<string>): Promise<string> {
    const { repeat, signal, path } = call
    const onRetry = (note: { attempt: number; delayMs: number; error: Error }) =>
      this.tell({ type: 'retry', path, ...note })
    return retrying(work, { policy: this.policy, repeat, signal, onRetry })
  }

  private async withToken(call: Call & { as: string }): Promise<string> {
    const { access } = await this.sessionFor(call, this.tokens.fresh())
    try {
      return await this.send({ ...call, token: access })
    } catch (error) {
      if (!isTokenProblem(error)) throw error
    }
    const next = await this.sessionFor(call, this.tokens.refreshed(access))
    return this.send({ ...call, token: next.access })
  }

  /** A refresh is everybody's: the caller's signal ends the waiting only. */
  private async sessionFor({ as, signal }: Call, found: Promise<Session>): Promise<Session> {
    const session = await abortable(found, signal)
    if (as !== session.user.id) throw new SignedOutError('signed_out')
    return session
  }
}
