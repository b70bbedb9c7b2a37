// What a person is told of an error.
import {
  ConflictError,
  EmailTakenError,
  ForbiddenError,
  InvalidCredentialsError,
  OtherAccountError,
  RateLimitedError,
  ServerError,
  SignedOutError,
  StorageError,
  ValidationError,
} from 'melon-sync'

export function sentence(error: unknown): string {
  if (error instanceof InvalidCredentialsError) return 'This address and password do not belong together.'
  if (error instanceof EmailTakenError) return 'There is an account with this address: sign in instead.'
  if (error instanceof SignedOutError) return 'Sign in again. What you wrote is still on this phone.'
  if (error instanceof OtherAccountError) return 'The lists on this phone are somebody else’s.'
  if (error instanceof ForbiddenError) return FORBIDDEN[error.code] ?? 'This account may not do that.'
  if (error instanceof ConflictError) return 'Others are changing the same lists just now. Try again.'
  if (error instanceof StorageError) return 'This phone does not say who is signed in. Try again.'
  if (error instanceof RateLimitedError) return `Too many tries. Again in ${error.retryAfter ?? 60} s.`
  if (error instanceof ValidationError) return texts(error.errors).join(' ') || error.message
  if (error instanceof ServerError) return 'The server is not well. What you wrote is still on this phone.'
  return `Something went wrong: ${String(error)}`
}

const FORBIDDEN: Record<string, string> = {
  account_disabled: 'This account has been switched off. Ask who runs this app.',
  email_not_verified: 'Open the mail that we sent you first, to confirm your address.',
}

/** Of a first sync. */
export const fetching = (records: number): string =>
  records > 0 ? `Fetching your lists: ${records} records` : 'Fetching your lists…'

/** The server's own words, wherever they stand. */
function texts(errors: unknown): string[] {
  if (typeof errors === 'string') return [errors]
  return typeof errors === 'object' && errors ? Object.values(errors).flatMap(texts) : []
}
