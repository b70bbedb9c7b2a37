// The tokens in a browser: in IndexedDB, which stores before it says so, and which all tabs read alike. In
// localStorage a tab may read for a moment what another one has overwritten. Any script of the page can
// read them there: keep the page free of others'.

import type { MelonStorage } from 'melon-sync'

const STORE = 'values'
let opened: Promise<IDBDatabase> | undefined

export const webStorage: MelonStorage = {
  get: (key) => within('readonly', (store) => store.get(key)),
  set: (key, value) => within('readwrite', (store) => store.put(value, key)),
  remove: (key) => within('readwrite', (store) => store.delete(key)),
}

async function within<T>(
  mode: IDBTransactionMode,
  work: (store: IDBObjectStore) => IDBRequest<T>,
): Promise<T> {
  const database = await (opened ??= open())
  return new Promise((resolve, reject) => {
    const transaction = database.transaction(STORE, mode, { durability: 'strict' })
    const request = work(transaction.objectStore(STORE))
    transaction.oncomplete = () => resolve(request.result)
    transaction.onabort = () => reject(transaction.error)
  })
}

function open(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open('melon-sync', 1)
    request.onupgradeneeded = () => request.result.createObjectStore(STORE)
    request.onsuccess = () => {
      request.result.onclose = forget // the browser has cleared it, or was short of memory
      resolve(request.result)
    }
    request.onerror = () => {
      forget()
      reject(request.error)
    }
  })
}

function forget(): void {
  opened = undefined
}
