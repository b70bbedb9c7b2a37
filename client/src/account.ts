/** The account's calls: thin, each one route of docs/api.md. */

import type { Api, Call } from './api.js'
import { ApiError, isTokenProblem, NetworkError } from './errors.js'
import type { Expected } from './http.js'
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

/** What proves whose account it is where there is no password: an ID token of a linked identity, issued in the last 5
 * minutes, or a mailed code. A guest needs none. */
export interface Proof {
  id_token?: string
  nonce?: string
  code?: string
}

export interface ProfileChange extends Proof {
  name?: string | null
  email?: string
  /** It, or another proof, is needed with `email`. */
  current_password?: string
}

/** What a provider gave the app; `nonce` as the app made it. `authorizationCode` is Apple's, to be revoked when the account
 * is deleted; so is the person's `name`, at the first time alone. */
export interface Vouched {
  idToken: string
  nonce?: string
  authorizationCode?: string
  name?: string
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

  /** Begins without an account, and may sync at once; of a guest that is signed in already, that one. */
  async guest(form: { name?: string } = {}): Promise<User> {
    const user = await this.user()
    return user?.is_guest ? user : this.signIn('/auth/guest', form, 201)
  }

  /** Gives a guest an address: its id, session and records stay. Throws `EmailTakenError`, `ForbiddenError` for an account
   * that is no guest any more, `ValidationError`. */
  upgrade(body: { email: string; password?: string; name?: string }): Promise<User> {
    return this.kept({ method: 'POST', path: '/users/me/upgrade', body, repeat: 'unapplied' })
  }

  /** Signs in by what a provider gave: `signInWith('apple', { idToken, nonce })`. A guest's records on this device go along.
   * Throws `InvalidCredentialsError`, `IdentityTakenError`, `ForbiddenError`. */
  signInWith(provider: string, vouched: Vouched): Promise<User> {
    return this.signIn(`/auth/oidc/${encodeURIComponent(provider)}`, bodyOf(vouched), [200, 201])
  }

  /** Mails a code of six digits, whether or not there is such an account. */
  async requestCode(email: string): Promise<void> {
    await this.open('/auth/code', { email }, 202)
  }

  /** Signs in by a mailed code, once; opens an account where there is none. As `signInWith`. */
  signInWithCode(form: { email: string; code: string; name?: string }): Promise<User> {
    return this.signIn('/auth/code/verify', form, [200, 201])
  }

  /** Links an identity to the account that is signed in. Throws `IdentityTakenError`, `ValidationError`. */
  linkIdentity(provider: string, vouched: Vouched): Promise<User> {
    const path = `/users/me/identities/${encodeURIComponent(provider)}`
    return this.kept({ method: 'POST', path, body: bodyOf(vouched), repeat: 'unapplied' })
  }

  /** Throws `ApiError` `last_identity` for the last way into the account. */
  async unlinkIdentity(provider: string): Promise<void> {
    const path = `/users/me/identities/${encodeURIComponent(provider)}`
    await this.api.signed({ method: 'DELETE', path, expects: 204, repeat: 'unapplied' })
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
  async changePassword(body: Proof & { current_password?: string; new_password: string }): Promise<void> {
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

  /** The account and all its data on the server are gone; signs out. `proof`: the password, or another one. */
  async deleteAccount(proof: string | Proof = {}): Promise<void> {
    const as = await this.tokens.accountId()
    const body = typeof proof === 'string' ? { password: proof } : proof
    const call = { method: 'DELETE', path: '/users/me', body, as, expects: 204 } as const
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

  private async signIn(path: string, form: object, expects: Expected | readonly Expected[]): Promise<User> {
    const body = { ...form, device_id: await this.device.id(), device_name: this.device.name }
    const answer = signInAnswer(await this.open(path, body, expects))
    await this.tokens.open(answer.user, answer)
    return answer.user
  }

  private open(path: string, body: object, expects: Expected | readonly Expected[]): Promise<string> {
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

function bodyOf({ idToken, nonce, authorizationCode, name }: Vouched): object {
  return { id_token: idToken, nonce, authorization_code: authorizationCode, name }
}
