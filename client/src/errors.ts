/** What can go wrong, as classes. `code` is stable and for programs, `message` for people. */

/** The root of all errors that this package makes. */
export class MelonError extends Error {
  override readonly name: string = 'MelonError'

  constructor(
    readonly code: string,
    message: string,
    readonly cause?: unknown,
  ) {
    super(message)
  }
}

/** No whole answer came: offline, cut off, too slow. Whether the server did it is not known. */
export class NetworkError extends MelonError {
  override readonly name: string = 'NetworkError'
}

/** Somebody on the way answered, and not the server: a hotel's sign-in page, a proxy. Nothing counts as done. */
export class NotThisServerError extends NetworkError {
  override readonly name: string = 'NotThisServerError'

  /** `place`: the first of the answer that is not the server's: `status`, `body`, `changes.tasks.created[3].id`. */
  constructor(
    code: 'bad_answer' | 'redirected',
    readonly place: string,
  ) {
    super(code, `Something else than the server answered, by its ${place}.`)
  }
}

/** It wants us to go elsewhere, with what we sent: the server never does (contract). */
export class RedirectError extends NotThisServerError {
  override readonly name = 'RedirectError'

  constructor() {
    super('redirected', 'status or address')
  }
}

/** The caller's `AbortSignal` ended it. */
export class AbortError extends MelonError {
  override readonly name = 'AbortError'

  constructor() {
    super('aborted', 'Ended by the caller.')
  }
}

/** The storage for tokens failed; nobody is signed out for it. */
export class StorageError extends MelonError {
  override readonly name = 'StorageError'

  constructor(cause: unknown) {
    super('storage_failed', 'The storage for the tokens failed.', cause)
  }
}

/** Nobody is signed in (any more): `code` is `signed_out`, or what the server refused the refresh
 * token with (`token_revoked`, `token_expired`, `token_invalid`, `token_missing`). */
export class SignedOutError extends MelonError {
  override readonly name = 'SignedOutError'

  constructor(code: string, cause?: unknown) {
    super(code, 'Nobody is signed in; sign in again.', cause)
  }
}

/** The database holds another account's data (`other_account`), or nobody knows whose
 * (`unknown_account`). Nothing was sent or changed. */
export class OtherAccountError extends MelonError {
  override readonly name = 'OtherAccountError'

  constructor(code: 'other_account' | 'unknown_account') {
    super(code, 'This database is not the signed-in account’s.')
  }
}

/** Signing out would lose what no server has; nothing was done. */
export class UnsyncedError extends MelonError {
  override readonly name = 'UnsyncedError'

  /** `counts`: records, edits and deletions by table. */
  constructor(readonly counts: Record<string, number>) {
    super('unsynced_changes', 'Some of the work on this device is nowhere else.')
  }
}

/** The server's problem+json (RFC 9457); what is not in it is not in here. */
export interface Problem {
  code: string
  detail: string
  /** By place: `errors.changes.tasks.updated["3"].title`. */
  errors?: Record<string, unknown> | undefined
  requestId?: string | undefined
  /** Seconds. */
  retryAfter?: number | undefined
}

/** The server answered with an error. `code` is that of its docs, or `http_<status>` where
 * something on the way answered in its place. */
export class ApiError extends MelonError {
  override readonly name: string = 'ApiError'
  readonly errors: Record<string, unknown>
  readonly requestId: string | undefined
  /** Seconds to wait, where the server says so. */
  readonly retryAfter: number | undefined

  constructor(
    readonly status: number,
    problem: Problem,
  ) {
    super(problem.code, problem.detail)
    this.errors = problem.errors ?? {}
    this.requestId = problem.requestId
    this.retryAfter = problem.retryAfter
  }
}

/** 401 `invalid_credentials`: the address or the password is wrong, or the code, or the ID token. */
export class InvalidCredentialsError extends ApiError {
  override readonly name = 'InvalidCredentialsError'
}

/** 403: `account_disabled`, `email_not_verified`, `forbidden` (by the role in a space, or to who is no guest). */
export class ForbiddenError extends ApiError {
  override readonly name = 'ForbiddenError'
}

/** 409 `email_taken`. */
export class EmailTakenError extends ApiError {
  override readonly name = 'EmailTakenError'
}

/** 409 `identity_taken`: another account has this identity, or this account another one of the provider. */
export class IdentityTakenError extends ApiError {
  override readonly name = 'IdentityTakenError'
}

/** 409 `sync_conflict`: other devices were faster, round after round. `errors`: `{table: [ids]}`. */
export class ConflictError extends ApiError {
  override readonly name = 'ConflictError'
}

/** 409 `foreign_clock`: the database was last synced with something else, or with an account that is gone.
 * Nothing was sent or changed; `adopt` takes it over (contract pull 1). */
export class ForeignClockError extends ApiError {
  override readonly name = 'ForeignClockError'
}

/** 409 `push_outdated`: a later push of this session was stored (contract push 8). */
export class PushOutdatedError extends ApiError {
  override readonly name = 'PushOutdatedError'
}

/** 413: more in one push than the server takes. */
export class PayloadTooLargeError extends ApiError {
  override readonly name = 'PayloadTooLargeError'
}

/** 422: `errors` names each place. */
export class ValidationError extends ApiError {
  override readonly name = 'ValidationError'
}

/** 429: `retryAfter` says how many seconds to wait. */
export class RateLimitedError extends ApiError {
  override readonly name = 'RateLimitedError'
}

/** 5xx: the server or what is behind it is ill. 503 `unavailable`: nothing was applied. */
export class ServerError extends ApiError {
  override readonly name = 'ServerError'
}

const TOKEN_PROBLEMS = ['token_expired', 'token_invalid', 'token_revoked', 'token_missing']

/** Whether the server says so of a token; a 401 of something on the way is another one. */
export function isTokenProblem(error: unknown): error is ApiError {
  return error instanceof ApiError && error.status === 401 && TOKEN_PROBLEMS.includes(error.code)
}

const BY_CODE: Record<string, typeof ApiError> = {
  invalid_credentials: InvalidCredentialsError,
  email_taken: EmailTakenError,
  identity_taken: IdentityTakenError,
  sync_conflict: ConflictError,
  foreign_clock: ForeignClockError,
  push_outdated: PushOutdatedError,
}
const BY_STATUS: Record<number, typeof ApiError> = { 403: ForbiddenError, 422: ValidationError }
/** What any box on the way may say for the server. */
const BY_ANYBODY: Record<number, typeof ApiError> = { 413: PayloadTooLargeError, 429: RateLimitedError }

/** The error of an answer: by its code, else by its status, else an `ApiError`. */
export function apiError(status: number, problem: Problem): ApiError {
  const general = BY_ANYBODY[status] ?? (status >= 500 ? ServerError : ApiError)
  const isServers = problem.code !== `http_${status}`
  const kind = isServers ? (BY_CODE[problem.code] ?? BY_STATUS[status] ?? general) : general
  return new kind(status, problem)
}
