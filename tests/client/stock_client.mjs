// Runs the snippets of docs/stock-client.md as printed: two phones of one account, through `sync`.
import assert from 'node:assert'
import { pathToFileURL } from 'node:url'
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)
const { Database, Model } = require('@nozbe/watermelondb')
const LokiJSAdapter = require('@nozbe/watermelondb/adapters/lokijs').default

const load = (name) => import(pathToFileURL(`${process.env.SNIPPETS}/${name}.mjs`))
const { schema } = await load('schema')
const { sync } = await load('sync')

class Project extends Model {
  static table = 'projects'
}
class Task extends Model {
  static table = 'tasks'
}

async function register() {
  const response = await fetch(`${process.env.MELON_URL}/api/v1/auth/register`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ email: `${Date.now()}@example.com`, password: 'correct horse battery' }),
  })
  assert.equal(response.status, 201)
  return response.json()
}

function phone(name) {
  const adapter = new LokiJSAdapter({
    dbName: name,
    schema,
    useWebWorker: false,
    useIncrementalIndexedDB: false,
  })
  return new Database({ adapter, modelClasses: [Project, Task] })
}

const { access_token: token } = await register()
const [first, second] = [phone('first'), phone('second')]
await first.write(() =>
  first.get('projects').create((record) => {
    record._setRaw('name', 'Kitchen')
  }),
)
await sync(first, token)
await sync(second, token)
const [project] = await second.get('projects').query().fetch()
assert.equal(project._raw.name, 'Kitchen')
console.log('two phones hold the same')
process.exit(0)
