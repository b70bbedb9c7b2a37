// The whole of an app's sync code: WatermelonDB's own `synchronize`, and two calls.
import type { Database } from '@nozbe/watermelondb'
import { synchronize, type SyncLog, type SyncPullResult } from '@nozbe/watermelondb/sync'
import type { Json } from './exchange'

type Call = (path: string, body: Json) => Promise<Json>

/** Pull, then push. Returns what WatermelonDB noted; throws what `call` throws. */
export async function sync(database: Database, call: Call): Promise<SyncLog> {
  const log: SyncLog = {}
  await synchronize({
    database,
    log,
    pullChanges: async ({ lastPulledAt, schemaVersion, migration }) =>
      (await call('/sync/pull', { lastPulledAt, schemaVersion, migration })) as SyncPullResult,
    pushChanges: async ({ changes, lastPulledAt }) => {
      await call('/sync/push', { changes, lastPulledAt })
    },
  })
  return log
}
