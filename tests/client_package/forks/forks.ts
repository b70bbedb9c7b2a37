// Any WatermelonDB's database and functions fit melon-sync's types.
import type { Database as Fork, Q as ForkQ } from '@wrktalk-tech/watermelondb'
import type { synchronize as forkSync } from '@wrktalk-tech/watermelondb/sync'
import type { Database as Old, Q as OldQ } from 'watermelondb-0.27'
import type { synchronize as oldSync } from 'watermelondb-0.27/sync'
import type { Database as Next, Q as NextQ } from 'watermelondb-next'
import type { synchronize as nextSync } from 'watermelondb-next/sync'
import type { Database, Watermelon } from 'melon-sync/core'

type Fits<T extends U, U> = T
export type Databases = [Fits<Fork, Database>, Fits<Old, Database>, Fits<Next, Database>]
type Exports<Q, S> = { Q: Q; synchronize: S }
export type Watermelons = [
  Fits<Exports<typeof ForkQ, typeof forkSync>, Watermelon>,
  Fits<Exports<typeof OldQ, typeof oldSync>, Watermelon>,
  Fits<Exports<typeof NextQ, typeof nextSync>, Watermelon>,
]
// @ts-expect-error: no database
export type Wrong = Fits<string, Database>
