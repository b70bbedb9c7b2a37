// Names that a record, a module or JavaScript has already: every column is reached by a property.

import assert from 'node:assert/strict'
import { load, Phone } from './phone.js'

const app = load(process.env.APP)
const names = JSON.parse(process.env.NAMES) // {column: property}
const phone = new Phone(app, {})
const date = await phone.create('dates', (one) => {
  one.name = 'a date'
})
const values = Object.fromEntries(Object.keys(names).map((column) => [column, `the ${column}`]))
const record = await phone.create('models', (one) => {
  for (const [column, property] of Object.entries(names)) one[property] = values[column]
  one.dateId = date.id
  one.other.set(date)
  one.above.set(null)
})
for (const [column, property] of Object.entries(names)) {
  assert.equal(record[property], values[column], property)
  assert.equal(record._raw[column], values[column], column)
}
assert.equal(record.table, 'models')
assert.equal(record.collection, phone.get('models'))
assert.equal(await record.date.fetch(), date)
assert.equal(await record.other.fetch(), date)
assert.deepEqual(await date.models.fetch(), [record])
assert.deepEqual(await date.modelsByOtherId.fetch(), [record])
await phone.database.write(() => record.update((one) => one.above.set(one)))
assert.deepEqual(await record.models.fetch(), [record])
console.log('every column is reached')
