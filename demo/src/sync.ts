// The whole of an app's sync code: WatermelonDB's own `synchronize`, and two calls.
import type { Database } from '@nozbe/watermelondb'
import {
  synchronize,
  type SyncLog,
  type SyncPullResult,
  type SyncPushResult,
} from '@nozbe/watermelondb/sync'
import type { Json } from './exchange'
import { refusalsOf, type Refusal } from './refusals'

type Call = (path: string, body: Json) => Promise<Json>

export type Synced = { log: SyncLog; refusals: Refusal[] }

/** Pull, then push. What the server does not take stays unsynced, and is among the `refusals`.
 * Returns these, and what WatermelonDB noted; throws what `call` throws. */
export async function sync(database: Database, call: Call): Promise<Synced> {
  const log: SyncLog = {}
  let refusals: Refusal[] = []
  await synchronize({
    database,
    log,
    pullChanges: async ({ lastPulledAt, schemaVersion, migration }) =>
      (await call('/sync/pull', { lastPulledAt, schemaVersion, migration })) as SyncPullResult,
    pushChanges: async ({ changes, lastPulledAt }) => {
      const answer = await call('/sync/push', { changes, lastPulledAt, allowPartial: true })
      refusals = refusalsOf(changes, answer)
      return answer as SyncPushResult // with experimentalRejectedIds
    },
  })
  return { log, refusals }
}
