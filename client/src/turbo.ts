/** Whether WatermelonDB's Turbo mode can load a first pull: JSON text straight into SQLite. */

import { isEmpty } from './local.js'
import type { Private } from './private.js'
import type { Database } from './watermelon.js'

/** Only a SQLite adapter that runs over JSI can (its `unsafeLoadFromSync` says so), and only into
 * tables without records, because it inserts. On Windows WatermelonDB has no Turbo mode, and nothing
 * here tells: pass `turbo: false` there. */
export async function canTurbo(database: Database, own: Private): Promise<boolean> {
  return hasJsi(database.adapter.underlyingAdapter) && (await isEmpty(database, own))
}

function hasJsi(adapter: object): boolean {
  const { adapterType } = adapter.constructor as { adapterType?: string }
  const { _dispatcherType: dispatcher } = adapter as { _dispatcherType?: string }
  return adapterType === 'sqlite' && dispatcher === 'jsi'
}
