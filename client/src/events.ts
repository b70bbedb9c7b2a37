/** What the app may want to know between calls. */

import type { RetryNote } from './retry.js'
import type { User } from './session.js'

export type MelonEvent =
  | { type: 'signed_in'; user: User }
  /** `reason`: `logout`, or the code that the server ended the session with. */
  | { type: 'signed_out'; user: User; reason: string }
  | ({ type: 'retry'; path: string } & RetryNote)

export type Listener = (event: MelonEvent) => void

/** Calls back into the app. An error that it throws is its own, and is thrown where nothing of ours
 * breaks. */
export function teller<T>(listener: ((told: T) => void) | undefined): (told: T) => void {
  return (told) => {
    try {
      listener?.(told)
    } catch (error) {
      setTimeout(() => {
        throw error
      })
    }
  }
}
