/** What an answer must look like before anything of it counts: a hotel's sign-in page is a 200, too.
 * Each of these takes the text of an answer. Throws `NotThisServerError`, which names the place. */

import type { DeviceSession } from './account.js'
import { NotThisServerError } from './errors.js'
import { isObject, parsed } from './http.js'
import type { TokenAnswer, User } from './session.js'
import type { Invitation, Member, NewInvitation, Space } from './spaces.js'

export type Json = Record<string, unknown>
export type Kind = (value: unknown) => boolean

const TOKENS: Record<string, Kind> = {
  access_token: isToken,
  refresh_token: isToken,
  token_type: (value) => value === 'Bearer',
  expires_in: (value) => Number.isFinite(value) && (value as number) > 0,
}
const USER: Record<string, Kind> = {
  id: isText,
  email: isTextOrNull,
  name: isStringOrNull,
  is_active: isBoolean,
  is_guest: isBoolean,
  has_password: isBoolean,
  email_verified: isBoolean,
  identities: (value) => Array.isArray(value) && value.every(isText),
  created_at: isTime,
  updated_at: isTime,
}
const SESSION: Record<string, Kind> = {
  id: isText,
  device_name: isStringOrNull,
  user_agent: isStringOrNull,
  created_at: isTime,
  last_used_at: isTime,
  current: isBoolean,
}
const SPACE: Record<string, Kind> = {
  id: isText,
  name: isText,
  role: isText, // a newer server may have more of them
  members: Number.isSafeInteger,
  created_at: isTime,
}
const MEMBER: Record<string, Kind> = { user_id: isText, name: isStringOrNull, role: isText, joined_at: isTime }
const INVITATION: Record<string, Kind> = { id: isText, role: isText, email: isStringOrNull, expires_at: isTime }

export function tokenAnswer(text: string): TokenAnswer {
  return withFields(parsed(text), TOKENS) as unknown as TokenAnswer
}

export function signInAnswer(text: string): TokenAnswer & { user: User } {
  const answer = withFields(parsed(text), TOKENS)
  withFields(answer['user'], USER, 'user')
  return answer as unknown as TokenAnswer & { user: User }
}

/** `id`: of the account that has asked. */
export function userAnswer(text: string, id: string): User {
  const user = withFields(parsed(text), USER)
  need(user['id'] === id, 'id')
  return user as unknown as User
}

export function sessionsAnswer(text: string): DeviceSession[] {
  return sessionsOf(parsed(`{"sessions":${text}}`))
}

export function spaceAnswer(text: string): Space {
  return withFields(parsed(text), SPACE) as unknown as Space
}

export function spacesAnswer(text: string): Space[] {
  return listOf('spaces', parsed(`{"spaces":${text}}`), SPACE) as Space[]
}

export function membersAnswer(text: string): Member[] {
  return listOf('members', parsed(`{"members":${text}}`), MEMBER) as Member[]
}

export function invitationsAnswer(text: string): Invitation[] {
  return listOf('invitations', parsed(`{"invitations":${text}}`), INVITATION) as Invitation[]
}

/** A mailed one has its token in the mail. */
export function invitationAnswer(text: string, isMailed: boolean): NewInvitation {
  const kinds = isMailed ? INVITATION : { ...INVITATION, token: isText }
  return withFields(parsed(text), kinds) as unknown as NewInvitation
}

export function exportAnswer(text: string): string {
  const answer = parsed(text)
  withFields(answer['user'], USER, 'user')
  sessionsOf(answer)
  return text
}

function sessionsOf(answer: Json): DeviceSession[] {
  return listOf('sessions', answer, SESSION) as DeviceSession[]
}

function listOf(name: string, { [name]: list }: Json, kinds: Record<string, Kind>): unknown[] {
  need(Array.isArray(list), name)
  const all = list as unknown[]
  all.forEach((one, index) => withFields(one, kinds, `${name}[${index}]`))
  return all
}

/** An object that has all of these, each of its kind. */
export function withFields(value: unknown, kinds: Record<string, Kind>, place?: string): Json {
  need(isObject(value), place ?? 'body')
  const found = value as Json
  for (const [name, isOfKind] of Object.entries(kinds)) {
    need(isOfKind(found[name]), place ? `${place}.${name}` : name)
  }
  return found
}

export function need(isSo: boolean, place: string): void {
  if (!isSo) throw new NotThisServerError('bad_answer', place)
}

/** A header can carry it (RFC 6750 §2.1). */
function isToken(value: unknown): boolean {
  return typeof value === 'string' && /^[\w.~+/-]+=*$/.test(value)
}

/** ISO 8601. */
function isTime(value: unknown): boolean {
  return typeof value === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(value)
}

export function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

function isTextOrNull(value: unknown): boolean {
  return value === null || isText(value)
}

function isStringOrNull(value: unknown): boolean {
  return value === null || typeof value === 'string'
}

export function isBoolean(value: unknown): value is boolean {
  return typeof value === 'boolean'
}
