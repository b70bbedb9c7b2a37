// A printed app with names that only phones have: every column of every table, in both clients.

import assert from 'node:assert/strict'
import { load, Phone } from './phone.js'

const { createMelonClient, memoryStorage } = await import(process.env.MELON_SYNC)
const app = load(process.env.APP)
const LONG = 'a_name_that_is_longer_than_a_name_may_be_in_mysql_which_is_64_letters'
const PARENTS = {
  tasks: { project_id: 'projects' },
  users: { user_id: 'users' },
  sessions: { user_id: 'users', [LONG]: `${LONG}_table` },
  Meta: { b: 'Meta' },
  kinds: { reference: 'changes' },
}

class MelonPhone extends Phone {
  client = createMelonClient({ url: process.env.MELON_URL, storage: memoryStorage() })

  async signIn(how) {
    await this.client[how](this.person)
    return this
  }

  sync() {
    return this.client.sync(this.database)
  }
}

function value({ name, type }, word) {
  const text = name.startsWith('json') ? `"${word}"` : `${word} ${name}`.slice(0, 9)
  return { string: text, number: word.length, boolean: word.length > 3 }[type]
}

/** Sets every column: those that refer to a record, to the first one of their table. */
function fill(phone, one, word) {
  for (const column of app.schema.tables[one.table].columnArray) {
    const above = PARENTS[one.table]?.[column.name]
    if (above) one._setRaw(column.name, phone.first[above]?.id ?? null)
    else one._setRaw(column.name, value(column, word))
  }
}

async function held(phone) {
  const found = {}
  for (const name of Object.keys(app.schema.tables)) {
    const raws = (await phone.all(name)).map((one) => one._raw)
    found[name] = raws.sort((a, b) => (a.id < b.id ? -1 : 1))
  }
  return found
}

async function same(phone, tablet) {
  await phone.sync()
  await tablet.sync()
  await phone.sync()
  const [one, other] = [await held(phone), await held(tablet)]
  assert.deepEqual(one, other)
  for (const raw of Object.values(one).flat()) assert.equal(raw._status, 'synced')
  return one
}

async function live(PhoneClass, email) {
  const person = { email, password: 'correct-horse-battery' }
  const phone = await new PhoneClass(app, person).signIn('register')
  const tablet = await new PhoneClass(app, person).signIn('login')
  await tablet.sync()
  phone.first = {}
  const tables = ['projects', 'users', `${LONG}_table`, 'changes']
  tables.push(...Object.keys(app.schema.tables).filter((name) => !tables.includes(name)))
  for (const name of [...tables, ...tables]) {
    const made = await phone.create(name, (one) => fill(phone, one, 'the'))
    phone.first[name] ??= made
  }
  const made = await same(phone, tablet)
  assert.deepEqual(Object.values(made).map((raws) => raws.length), tables.map(() => 2))

  const [user] = (await tablet.all('users')).filter((one) => one.id === phone.first.users.id)
  assert.deepEqual([user.createdBy, user.isDeleted, user.metadata], ['the creat', false, 'the metad'])
  const visits = await user.sessions.fetch()
  assert.equal(visits.length, 2)
  assert.equal(await visits[0].user.fetch(), user)

  await phone.database.write(() => phone.first.users.update((one) => { one.createdBy = 'ada' }))
  tablet.first = phone.first
  await tablet.database.write(async () => {
    for (const name of tables) {
      for (const record of await tablet.all(name)) {
        await record.update((one) => {
          const { created_by: _, ...columns } = app.schema.tables[name].columns
          for (const column of Object.values(columns)) {
            if (!PARENTS[name]?.[column.name]) one._setRaw(column.name, value(column, 'after'))
          }
        })
      }
    }
  })
  const edited = await same(phone, tablet)
  const raw = edited.users.find(({ id }) => id === user.id)
  assert.deepEqual([raw.created_by, raw.is_deleted, raw.metadata], ['ada', true, 'after met'])

  await phone.database.write(() => phone.first.users.experimentalMarkAsDeleted())
  const left = await same(phone, tablet)
  assert.deepEqual(left.sessions, [])
  assert.deepEqual(left.users.map((one) => one.user_id), [null])
  if (phone.client) assert.equal((await phone.client.verify(phone.database)).identical, true)
}

await live(Phone, 'stock@example.com')
await live(MelonPhone, 'melon@example.com')
console.log('both clients hold the same')
