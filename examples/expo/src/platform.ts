// iOS and Android: SQLite over JSI, the tokens in the keychain.
import { Database } from '@nozbe/watermelondb'
import SQLiteAdapter from '@nozbe/watermelondb/adapters/sqlite'
import * as SecureStore from 'expo-secure-store'
import type { Platform } from './core/accounts'
import { modelClasses, schema } from './core/schema'

// On this device alone: a phone that is set up from another one's backup signs in, as a device of its own.
const options = { keychainAccessible: SecureStore.AFTER_FIRST_UNLOCK_THIS_DEVICE_ONLY }

/** Resolves once nobody else uses the databases: on a phone at once. */
export const alone = Promise.resolve()

export const platform: Platform = {
  url: process.env.EXPO_PUBLIC_MELON_URL ?? 'http://127.0.0.1:8000',
  storage: {
    get: (key) => SecureStore.getItemAsync(key, options),
    set: (key, value) => SecureStore.setItemAsync(key, value, options),
    remove: (key) => SecureStore.deleteItemAsync(key, options),
  },
  openDatabase(dbName) {
    return new Database({ adapter: new SQLiteAdapter({ dbName, schema, jsi: true }), modelClasses })
  },
}
