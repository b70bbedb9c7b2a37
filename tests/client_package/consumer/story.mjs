// A person with two phones, in an empty project that has installed the packed package.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)
const { appSchema, Database, Model, Q, tableSchema } = require('@nozbe/watermelondb')
const { synchronize } = require('@nozbe/watermelondb/sync')
const { default: LokiJSAdapter } = require('@nozbe/watermelondb/adapters/lokijs')

const columns = [{ name: 'name', type: 'string' }]
const schema = appSchema({ version: 1, tables: [tableSchema({ name: 'projects', columns })] })

class Project extends Model {
  static table = 'projects'
}

function newDatabase() {
  const options = { useWebWorker: false, useIncrementalIndexedDB: false }
  const adapter = new LokiJSAdapter({ schema, ...options, extraLokiOptions: { autosave: false } })
  return new Database({ adapter, modelClasses: [Project] })
}

export async function story({ createMelonClient, InvalidCredentialsError, memoryStorage }, kind) {
  const form = { email: `${kind.replace(' ', '-')}-${Date.now()}@example.com`, password: 'correct-horse-battery' }
  const watermelon = { Q, synchronize }
  const phone = () => createMelonClient({ url: process.env.MELON_URL, storage: memoryStorage(), watermelon })
  const [first, second] = [phone(), phone()]
  await first.register(form)
  await assert.rejects(second.login({ ...form, password: 'wrong' }), InvalidCredentialsError)
  await second.login(form)
  const [here, there] = [newDatabase(), newDatabase()]
  await here.write(() => here.get('projects').create((record) => record._setRaw('name', 'Kitchen')))
  assert.equal((await first.sync(here)).pushed, 1)
  assert.equal((await second.sync(there)).pulled, 1)
  const [project] = await there.get('projects').query().fetch()
  assert.equal(project._raw.name, 'Kitchen')
  console.log(`${kind}: two phones hold the same`)
}
