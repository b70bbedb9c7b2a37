// What is said to a visitor.
import { Unreadable } from './disk'
import type { Outcome } from './exchange'
import type { Told } from './live'
import { Refused } from './session'
import { Gone } from './store'
import { NoAnswer } from './wire'

/** How the last sync went. `good`: well; `merged`: well, after a conflict; `bad`: not, and why. */
export type Notice = { mood: 'calm' | 'good' | 'merged' | 'bad'; text: string }

/** `merged`: records that were edited here and elsewhere; `conflicts`: faster phones on the way;
 * `refused`: records that the server did not take. */
export type Result = {
  sent: number
  got: number
  merged: number
  conflicts: number
  refused: number
  lost?: Lost | undefined
}

/** A list that this phone may not have any more; `unsynced`: edits that nobody else has. */
export type Lost = { name: string; unsynced: number }

/** Another phone pushed between this one's pull and its push. */
export class Faster extends Error {}

const GONE = 'That task is no more: the other phone deleted it.'
const UNREADABLE = 'This browser could not read what the phone stores. Load the page again.'
const SILENCE = {
  offline: 'Offline: nothing was sent. Edits wait on this phone.',
  silent: 'The server does not answer. Edits wait on this phone; sync again later.',
  lost: 'The answer got lost. The phone cannot know what became of it: it will send again.',
}

/** Why something did not go as wished. */
export function sentence(error: unknown): string {
  if (error instanceof Gone) return GONE
  if (error instanceof Unreadable) return UNREADABLE
  if (error instanceof NoAnswer) return SILENCE[error.outcome]
  if (error instanceof Faster) return 'Other phones were faster each time: sync again.'
  if (!(error instanceof Refused)) return `Something is wrong in this page: ${String(error)}`
  const { status, code, message, answer } = error
  if (code === 'invalid_credentials') return 'The server has forgotten this account: start afresh.'
  if (status === 429) return `Too many calls: sync again in ${duration(answer.retryAfter)}.`
  if (code === 'sync_conflict') return sentence(new Faster())
  return `${message} (${status} ${code})`
}

/** What a sync did. */
export function told({ sent, got, merged, conflicts, refused, lost }: Result): Notice {
  if (lost) return { mood: 'bad', text: goodbye(lost) }
  const parts = [sent ? `${sent} sent` : '', got ? `${got} received` : ''].filter(Boolean)
  const sum = `Synced: ${parts.join(', ') || 'nothing new'}.`
  const how = conflicts ? 'Another phone was faster: synced again.' : sum
  const both = merged ? ` Merged ${merged} edited on both.` : ''
  if (refused) return { mood: 'bad', text: `${how}${both} ${refused} refused: the list says why.` }
  return { mood: conflicts || merged ? 'merged' : 'good', text: how + both }
}

function goodbye({ name, unsynced }: Lost): string {
  const end = `“${name}” is no longer shared with this phone, and is gone from it.`
  if (unsynced === 0) return end
  return `${end} What was not synced (${unsynced}) is stored nowhere.`
}

const duration = (seconds: number): string =>
  seconds > 120 ? `${Math.ceil(seconds / 60)} min` : `${seconds} s`

/** 1234 → `1,234 B`. */
export const bytes = (count: number): string => `${count.toLocaleString('en')} B`

/** The time of day, to the second. */
export const time = (at: Date): string => at.toLocaleTimeString('en-GB')

/** What a phone heard, in the log. */
export const heard = (told: Told): string =>
  told === 'news' ? 'event: news' : `live: ${LISTENS[told]}`

/** How it listens. */
export const LISTENS = {
  stream: 'listens to a stream',
  poll: 'listens by long polls',
  asking: 'cannot listen: asks now and then',
  paused: 'pauses: nobody looks',
  stopped: 'does not listen',
}

const OUTCOMES = { offline: 'offline, not sent', silent: 'no answer', lost: 'answer lost' }

/** 200, or why there is no such number. */
export const outcome = (known: Outcome): string =>
  typeof known === 'number' ? String(known) : OUTCOMES[known]
