/** "Saved on this phone" or "saved everywhere", for the mark that an app shows at a record. */

import type { Model } from './watermelon.js'

export type Saved = 'on_this_phone' | 'everywhere'

/** `everywhere`: the server has all of it, as far as this phone knows. */
export function savedOf(record: Pick<Model, '_raw'>): Saved {
  return record._raw._status === 'synced' ? 'everywhere' : 'on_this_phone'
}

/** Calls `listen` whenever that may have changed, until the function that it returns is called. In React:
 * `useSyncExternalStore((listen) => watchSaved(task, listen), () => savedOf(task))`. */
export function watchSaved(record: Pick<Model, 'experimentalSubscribe'>, listen: () => void): () => void {
  return record.experimentalSubscribe(() => listen())
}
