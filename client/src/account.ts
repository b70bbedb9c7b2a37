/** The account's calls: thin, each one route of docs/api.md. */

import type { Api, Call } from './api.js'
import { ApiError, isTokenProblem, NetworkError } from './errors.js'
import type { User } from './session.js'
import { exportAnswer, sessionsAnswer, signInAnswer, userAnswer } from './shapes.js'
import type { Tokens } from './tokens.js'

export interface Credentials {
  email: string
  password: string
}

export interface DeviceSession {
  id: string
  device_name: string | null
  user_agent: string | null
  created_at: string
  last_used_at: string
  /** The one that asks. */
  current: boolean
}

export interface ProfileChange {
  name?: string | null
  email?: string
  /** Needed with `email`. */
  current_password?: string
}

/** Whether the server knows of the logout. If not, its session ends by itself 7 days after its last
 * use, or by `endSession` on another device; this device holds no token of it any more. */
export interface LoggedOut {
  serverTold: boolean
}

const LOGOUT_TIMEOUT_MS = 5_000

export interface DeviceNames {
  id: () => Promise<string>
  name: string | undefined
  /** Gets rid of an id that cannot be read. */
  mend: () => Promise<void>
}

export class Account {
  constructor(
    private readonly api: Api,
    private readonly tokens: Tokens,
    private readonly device: DeviceNames,
  ) {}

  /** Opens an account and signs in. After a `NetworkError` it may exist: `login` tells. Throws
   * `EmailTakenError`, `ValidationError`. */
  register(form: Credentials & { name?: string }): Promise<User> {
    return this.signIn('/auth/register', form, 201)
  }

  /** Throws `InvalidCredentialsError`, `ForbiddenError`, `RateLimitedError`. */
  login(form: Credentials): Promise<User> {
    return this.signIn('/auth/login', form, 200)
  }

  /** Signs this device out, offline too. The database keeps its records. */
  async logout(): Promise<LoggedOut> {
    const session = await this.tokens.close('logout')
    await this.device.mend()
    return { serverTold: session !== null && (await this.tellLogout(session.refresh)) }
  }

  /** Signs every device out; needs the server. */
  async logoutAll(): Promise<void> {
    const as = await this.tokens.accountId()
    await this.api.signed({ method: 'POST', path: '/auth/logout-all', as, expects: 204, repeat: 'unapplied' })
    await this.tokens.closed(as)
  }

  /** Who is signed in, as far as this device knows; asks nobody. */
  async user(): Promise<User | null> {
    return (await this.tokens.session())?.user ?? null
  }

  /** The account as the server has it. */
  me(): Promise<User> {
    return this.kept({ method: 'GET', path: '/users/me', repeat: 'always' })
  }

  updateProfile(body: ProfileChange): Promise<User> {
    return this.kept({ method: 'PATCH', path: '/users/me', body, repeat: 'always' })
  }

  /** Every other device is signed out. Throws `ValidationError` for a wrong `current_password`. */
  async changePassword(body: { current_password: string; new_password: string }): Promise<void> {
    await this.post('/users/me/password', 204, body)
  }

  /** A mail goes out if there is such an account; nobody is told whether there is. */
  async forgotPassword(email: string): Promise<void> {
    await this.open('/auth/password/forgot', { email }, 202)
  }

  /** `token` is the mail's. Every device is signed out, this one at its next call. */
  async resetPassword(body: { token: string; new_password: string }): Promise<void> {
    await this.open('/auth/password/reset', body, 204)
  }

  async verifyEmail(token: string): Promise<void> {
    await this.open('/auth/email/verify', { token }, 204)
  }

  async resendVerification(): Promise<void> {
    await this.post('/auth/email/resend', 202)
  }

  /** The account and all its data on the server are gone; signs out. */
  async deleteAccount(password: string): Promise<void> {
    const as = await this.tokens.accountId()
    const call = { method: 'DELETE', path: '/users/me', body: { password }, as, expects: 204 } as const
    await this.api.signed({ ...call, repeat: 'unapplied' })
    await this.tokens.closed(as)
  }

  async sessions(): Promise<DeviceSession[]> {
    const call = { method: 'GET', path: '/auth/sessions', repeat: 'always' } as const
    return sessionsAnswer(await this.api.signed(call))
  }

  /** Signs another device out. */
  async endSession(id: string): Promise<void> {
    const path = `/auth/sessions/${encodeURIComponent(id)}`
    await this.api.signed({ method: 'DELETE', path, expects: 204, repeat: 'unapplied' })
  }

  /** Everything that the server stores of the account, as JSON text. */
  async exportData(): Promise<string> {
    const text = await this.api.signed({ method: 'GET', path: '/users/me/export', repeat: 'always' })
    return exportAnswer(text)
  }

  private async signIn(path: string, form: Credentials, expects: 200 | 201): Promise<User> {
    const body = { ...form, device_id: await this.device.id(), device_name: this.device.name }
    const answer = signInAnswer(await this.open(path, body, expects))
    await this.tokens.open(answer.user, answer)
    return answer.user
  }

  private open(path: string, body: object, expects: 200 | 201 | 202 | 204): Promise<string> {
    return this.api.open({ method: 'POST', path, body, expects, repeat: 'unapplied' })
  }

  private post(path: string, expects: 202 | 204, body?: object): Promise<string> {
    return this.api.signed({ method: 'POST', path, body, expects, repeat: 'unapplied' })
  }

  private async kept(call: Call): Promise<User> {
    const as = await this.tokens.accountId()
    const user = userAnswer(await this.api.signed({ ...call, as }), as)
    await this.tokens.update(user)
    return user
  }

  /** True also when the server says that the session had ended before. */
  private async tellLogout(token: string): Promise<boolean> {
    const call = { method: 'POST', path: '/auth/logout', token, expects: 204 } as const
    try {
      await this.api.open({ ...call, timeoutMs: LOGOUT_TIMEOUT_MS, repeat: 'never' })
      return true
    } catch (error) {
      if (error instanceof ApiError || error instanceof NetworkError) return isTokenProblem(error)
      throw error
    }
  }
}
