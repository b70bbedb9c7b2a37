// Every version of a printed history: what SQL a phone would run, and the same on LokiJS.
// Prints {setup: {version: SQL}, migrate: {version: SQL to the last}, asked: {version: migration}}.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { Phone } from './phone.js'

const require = createRequire(import.meta.url)
const { Model } = require('@nozbe/watermelondb')
const { encodeMigrationSteps, encodeSchema } = require(
  '@nozbe/watermelondb/adapters/sqlite/encodeSchema',
)
const { stepsForMigration } = require('@nozbe/watermelondb/Schema/migrations/stepsForMigration')
const getSyncChanges = require('@nozbe/watermelondb/Schema/migrations/getSyncChanges').default

const { serverMigrations, migrations } = require(`${process.env.APP}/migrations.js`)
const { schemaMigrations } = require('@nozbe/watermelondb/Schema/migrations')

/** The app as it was released with this version. */
function app(version) {
  const { schema } = require(`${process.env.APP}/schema${version}.js`)
  const known = serverMigrations.filter(({ toVersion }) => toVersion <= version)
  const modelClasses = Object.keys(schema.tables).map(
    (table) => class extends Model { static table = table },
  )
  return { schema, migrations: schemaMigrations({ migrations: known }), modelClasses }
}

const VALUES = { string: 'x', number: 3, boolean: true }
const fill = (record, columns) => {
  for (const { name, type } of columns) record._setRaw(name, VALUES[type])
}

/** A phone of this version, updated to the last: nothing that both have is lost. */
async function check(version, last) {
  const [old, young] = [app(version), app(last)]
  const phone = new Phone(old, {})
  const before = old.schema.tables.notes.columnArray
  const { id } = await phone.create('notes', (record) => fill(record, before))
  await phone.update(young)
  const note = await phone.get('notes').find(id)
  for (const { name, type, isOptional } of young.schema.tables.notes.columnArray) {
    const same = before.find((column) => column.name === name && column.type === type)
    const again = name === 'color' && version < 4 // it went and came again
    const empty = isOptional ? null : { string: '', number: 0, boolean: false }[type]
    assert.equal(note._raw[name], same && !again ? VALUES[type] : empty, `${version}: ${name}`)
  }
  for (const [table, { columnArray }] of Object.entries(young.schema.tables)) {
    await phone.create(table, (record) => fill(record, columnArray))
  }
}

const last = migrations.maxVersion
const told = { setup: {}, migrate: {}, asked: {} }
for (let version = 1; version <= last; version += 1) {
  const range = { migrations, fromVersion: version, toVersion: last }
  told.setup[version] = encodeSchema(app(version).schema)
  told.migrate[version] = encodeMigrationSteps(stepsForMigration(range))
  told.asked[version] = getSyncChanges(migrations, version, last)
  await check(version, last)
}
// An app that had six versions of its own before.
const { migrationsAfter } = require(`${process.env.APP}/after.js`)
const own = [2, 3, 4, 5, 6, 7].map((toVersion) => ({ toVersion, steps: [] }))
const all = migrationsAfter(own)
assert.deepEqual([all.minVersion, all.maxVersion], [1, 6 + last])
console.log(JSON.stringify(told))
