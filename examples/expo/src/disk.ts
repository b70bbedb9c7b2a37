// LokiJS's adapter for IndexedDB, made safe.
import IncrementalIndexedDBAdapter, { type Loaded } from 'lokijs/src/incremental-indexeddb-adapter'

/** What is stored cannot be read now. Nothing of it was changed. */
export class Unreadable extends Error {}

/** Where the browser fails to open or to read the database, LokiJS is handed an event, takes it for
 * an empty database, and WatermelonDB deletes the one on the disk to set up its own: here it is an
 * error. Nor are records kept in memory alone where there is no IndexedDB. */
export class Disk extends IncrementalIndexedDBAdapter {
  override loadDatabase(name: string, callback: (found: Loaded) => void): void {
    super.loadDatabase(name, (found) => callback(found instanceof Event ? unreadable(found) : found))
  }
}

const unreadable = (event: Event): Unreadable =>
  new Unreadable(String((event.target as IDBRequest | null)?.error))
