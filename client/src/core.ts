export type { Credentials, DeviceSession, LoggedOut, ProfileChange, Proof, Vouched } from './account.js'
export type { RawRecord, RejectedRecord } from './changes.js'
export { createMelonClient, type MelonClient, type MelonOptions } from './client.js'
export {
  AbortError,
  ApiError,
  ConflictError,
  EmailTakenError,
  IdentityTakenError,
  ForbiddenError,
  ForeignClockError,
  InvalidCredentialsError,
  MelonError,
  NetworkError,
  NotThisServerError,
  OtherAccountError,
  PayloadTooLargeError,
  PushOutdatedError,
  RateLimitedError,
  RedirectError,
  ServerError,
  SignedOutError,
  StorageError,
  UnsyncedError,
  ValidationError,
} from './errors.js'
export type { Listener, MelonEvent } from './events.js'
export type { Fetch, FetchAnswer, Gzip } from './http.js'
export {
  listen,
  type AppStateLike,
  type EventSourceWithHeaders,
  type Live,
  type LiveOptions,
  type LiveState,
  type LiveWork,
  type StreamingFetch,
} from './live.js'
export type { LostAccess, LostSpace, OnAccessLost, UnsyncedRecord } from './lost.js'
export type { RetryPolicy } from './retry.js'
export type { IsDraft } from './private.js'
export type { ConflictResolver, SyncProgress, SyncResult } from './run.js'
export { savedOf, watchSaved, type Saved } from './saved.js'
export type { User } from './session.js'
export type { Invitation, Member, NewInvitation, Role, Space, Spaces } from './spaces.js'
export { memoryStorage, type MelonStorage } from './storage.js'
export type { SyncOptions } from './sync.js'
export type { Contents, TableVerdict, VerifyOptions, VerifyResult } from './verify.js'
export type { Database, Watermelon } from './watermelon.js'
