// LokiJS on IndexedDB, the tokens in IndexedDB beside it.
import { Database } from '@nozbe/watermelondb'
import LokiJSAdapter from '@nozbe/watermelondb/adapters/lokijs'
import type { Platform } from './core/accounts'
import { modelClasses, schema } from './core/schema'
import { Disk } from './disk'
import { webStorage } from './web-storage'

export const platform: Platform = {
  url: import.meta.env.VITE_MELON_URL ?? '/',
  storage: webStorage,
  openDatabase(dbName) {
    const options = { useWebWorker: false, useIncrementalIndexedDB: true }
    const extraLokiOptions = { autosaveInterval: 100, adapter: new Disk() }
    const adapter = new LokiJSAdapter({ dbName, schema, ...options, extraLokiOptions })
    return new Database({ adapter, modelClasses })
  },
}
