// What an app may rely on in the published types; each `expect-error` fails when they are `any`.
import { Q, type Database } from '@nozbe/watermelondb'
import { synchronize } from '@nozbe/watermelondb/sync/index.js'
import { createMelonClient as createWith } from 'melon-sync/core'
import { createMelonClient, memoryStorage, ValidationError, type SyncResult } from 'melon-sync'

declare const database: Database
const options = { url: 'https://api.example.com', storage: memoryStorage() }
const client = createMelonClient({ url: 'https://api.example.com', storage: memoryStorage(), fetch })

export const result: Promise<SyncResult> = client.sync(database, { partial: true })
export const places = (error: ValidationError): Record<string, unknown> => error.errors
export const name: Promise<string | null | undefined> = client.user().then((user) => user?.name)
// @ts-expect-error: no database
void client.sync('database')
// @ts-expect-error: no such option
void client.sync(database, { partially: true })
// @ts-expect-error: no storage
createMelonClient({ url: 'https://api.example.com' })
createWith({ ...options, watermelon: { Q, synchronize } })
// @ts-expect-error: no WatermelonDB
createWith(options)
// @ts-expect-error: may be null
result.then(({ pulled }) => pulled.toFixed())
