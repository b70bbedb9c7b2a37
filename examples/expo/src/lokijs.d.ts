declare module 'lokijs/src/incremental-indexeddb-adapter' {
  /** The database, null where there is none yet; an Event of IndexedDB, or an Error, where it failed. */
  export type Loaded = object | null

  export default class IncrementalIndexedDBAdapter {
    loadDatabase(name: string, callback: (found: Loaded) => void): void
  }
}
