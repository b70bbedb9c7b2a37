// In a browser: LokiJS on IndexedDB, the tokens in IndexedDB beside it.
import { Database } from '@nozbe/watermelondb'
import LokiJSAdapter from '@nozbe/watermelondb/adapters/lokijs'
import type { Platform } from './core/accounts'
import { modelClasses, schema } from './core/schema'
import { Disk } from './disk'
import { webStorage } from './web-storage'

/** One tab at a time: two would write over each other's database. */
export const alone = new Promise<void>((resolve) => {
  const untilClosed = () => new Promise<never>(() => resolve())
  void navigator.locks.request('melon-lists', untilClosed)
})

export const platform: Platform = {
  url: process.env.EXPO_PUBLIC_MELON_URL ?? 'http://127.0.0.1:8000',
  storage: webStorage,
  openDatabase(dbName) {
    const options = { useWebWorker: false, useIncrementalIndexedDB: true }
    const extraLokiOptions = { autosaveInterval: 100, adapter: new Disk() }
    return new Database({ adapter: new LokiJSAdapter({ dbName, schema, ...options, extraLokiOptions }), modelClasses })
  },
}
