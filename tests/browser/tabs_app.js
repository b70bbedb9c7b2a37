// An app in a tab, bundled by tabs.js: its records in LokiJS on IndexedDB, its tokens as in the example.
import { appSchema, Database, Model, tableSchema } from '@nozbe/watermelondb'
import lokijs from '@nozbe/watermelondb/adapters/lokijs' // CommonJS, which Node and bundlers wrap
import { createMelonClient } from '../../client/dist/esm/index.js'
import { PushNumbers } from '../../client/dist/esm/numbers.js'
import { webStorage } from '../../client/examples/web'

const columns = [{ name: 'name', type: 'string' }]
const schema = appSchema({ version: 1, tables: [tableSchema({ name: 'projects', columns })] })

class Project extends Model {
  static table = 'projects'
}

const { default: LokiJSAdapter } = lokijs
const adapter = new LokiJSAdapter({ schema, useWebWorker: false, useIncrementalIndexedDB: true })
const database = new Database({ adapter, modelClasses: [Project] })
const client = createMelonClient({ url: location.origin, storage: webStorage, retry: { baseMs: 20 } })

const numbers = new PushNumbers(webStorage)

window.app = {
  client,
  /** So many numbers of pushes, asked for at once. */
  numbers: (count) => Promise.all(Array.from({ length: count }, () => numbers.next())),
  sync: () => client.sync(database),
  verify: () => client.verify(database),
  hasUnsynced: () => client.hasUnsyncedChanges(database),
  create: (name) =>
    database.write(async () => (await database.get('projects').create((made) => made._setRaw('name', name))).id),
  records: async () => (await database.get('projects').query().fetch()).map(({ _raw }) => [_raw.id, _raw.name]).sort(),
  /** While LokiJS saves one time after the other. */
  signOut: async () => {
    const { loki } = adapter._driver
    const saving = async () => {
      while (!database._isBeingReset) {
        loki.getCollection('projects').dirty = true
        await new Promise((resolve) => loki.saveDatabase(resolve))
      }
    }
    const saved = saving()
    await client.signOut(database, { wipe: true })
    await saved
  },
  isSaved: () => !adapter._driver.loki.autosaveDirty(),
}
