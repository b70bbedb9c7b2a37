// A phone's sign-in: its tokens, kept over a reload, renewed when they have run out.
import { isOpen, markOpen, type Account } from './account'
import type { Json } from './exchange'
import type { Answer, Method, Wire } from './wire'

type Tokens = { email: string; access: string; refresh: string }

/** The server said no; `code` and the message are its own (docs/api.md). */
export class Refused extends Error {
  readonly status: number
  readonly code: string

  constructor(readonly answer: Answer) {
    super(String(answer.body?.detail ?? 'This is no answer of Melon.'))
    this.status = answer.status
    this.code = String(answer.body?.code ?? 'no code')
  }
}

export class Session {
  /** `key` names this phone to localStorage and, as its device_id, to the server. */
  constructor(
    private readonly wire: Wire,
    private readonly key: string,
    private readonly account: Account,
  ) {}

  /** With this phone's token. Returns the answer's JSON. Throws NoAnswer, Refused. */
  async call(path: string, body: Json, method: Method = 'POST'): Promise<Json> {
    const tokens = this.tokens ?? (await this.enter())
    const answer = await this.wire.send(path, body, tokens.access, method)
    if (answer.status !== 401) return accepted(answer)
    const { access } = await this.renew(tokens, new Refused(answer).code)
    return accepted(await this.wire.send(path, body, access, method))
  }

  /** An access token, to listen with. Throws NoAnswer, Refused. */
  async token(): Promise<string> {
    return (this.tokens ?? (await this.enter())).access
  }

  /** The phone that comes first opens the account. An account that the server has forgotten is not
   * opened again: the phones hold records that it would never get. */
  private async enter(): Promise<Tokens> {
    const { email, password } = this.account
    const body = { email, password, device_id: this.key, device_name: this.key }
    if (!isOpen(this.account)) {
      const answer = await this.wire.send('/auth/register', body)
      const isTaken = answer.body?.code === 'email_taken' // by us, and the answer got lost
      const tokens = isTaken ? null : this.keep(accepted(answer))
      markOpen(this.account)
      if (tokens) return tokens
    }
    return this.keep(accepted(await this.wire.send('/auth/login', body)))
  }

  private async renew(tokens: Tokens, code: string): Promise<Tokens> {
    if (code !== 'token_expired') return this.enter()
    const answer = await this.wire.send('/auth/refresh', null, tokens.refresh)
    return answer.status === 401 ? this.enter() : this.keep(accepted(answer))
  }

  /** None, when they are those of an account before. */
  private get tokens(): Tokens | null {
    const kept = JSON.parse(localStorage.getItem(this.key) ?? 'null') as Tokens | null
    return kept?.email === this.account.email ? kept : null
  }

  private keep(answer: Json): Tokens {
    const [access, refresh] = [String(answer?.access_token), String(answer?.refresh_token)]
    const tokens = { email: this.account.email, access, refresh }
    localStorage.setItem(this.key, JSON.stringify(tokens))
    return tokens
  }
}

function accepted(answer: Answer): Json {
  if (answer.status >= 400 || (answer.status === 200 && !answer.body)) throw new Refused(answer)
  return answer.body
}
