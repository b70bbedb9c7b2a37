/** Where the tokens are kept. */

import { StorageError } from './errors.js'

type Maybe<T> = T | Promise<T>

/** Keeps a few short strings on this device, and away from others: the keychain of a phone. `set` must
 * have stored durably when it resolves. A value that is not there is null or undefined. Errors are to be
 * thrown, never to be answered as "not there". */
export interface MelonStorage {
  get(key: string): Maybe<string | null | undefined>
  set(key: string, value: string): Maybe<unknown>
  remove(key: string): Maybe<unknown>
}

/** Forgets with the process; for tests and trials. */
export function memoryStorage(): MelonStorage {
  const values = new Map<string, string>()
  return {
    get: (key) => values.get(key),
    set: (key, value) => values.set(key, value),
    remove: (key) => values.delete(key),
  }
}

/** The same storage, whose failures are `StorageError`s. */
export function guarded(storage: MelonStorage) {
  return {
    get: (key: string) => guard(async () => (await storage.get(key)) ?? null),
    set: (key: string, value: string) => guard(async () => void (await storage.set(key, value))),
    remove: (key: string) => guard(async () => void (await storage.remove(key))),
  }
}

export type GuardedStorage = ReturnType<typeof guarded>

async function guard<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw new StorageError(error)
  }
}
