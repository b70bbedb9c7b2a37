// The printed app on two phones: create, follow relations and children, sync.

import assert from 'node:assert/strict'
import { load, Phone } from './phone.js'

const app = load(process.env.APP)
const person = { email: `${Date.now()}@example.com`, password: 'correct-horse-battery' }
const phone = await new Phone(app, person).signIn('register')
const tablet = await new Phone(app, person).signIn('login')

const project = await phone.create('projects', (one) => {
  one.name = 'Kitchen'
})
const task = await phone.create('tasks', (one) => {
  one.title = 'Paint'
  one.isCompleted = true
  one.project.set(project)
})
assert.equal(task.description, null)
assert.ok(Math.abs(task.createdAt - Date.now()) < 60_000, 'the client stamps what it creates')
assert.throws(() => {
  task.createdAt = new Date()
}, /readonly|read-only|@readonly/)
assert.deepEqual(await project.tasks.fetch(), [task])

await phone.sync()
await tablet.sync()
const [same] = await tablet.all('tasks')
assert.deepEqual(same._raw, { ...task._raw, _status: 'synced', _changed: '' })
assert.equal(same.title, 'Paint')
assert.equal(same.isCompleted, true)
assert.equal(same.projectId, project.id)
const above = await same.project.fetch()
assert.equal(above.name, 'Kitchen')
assert.deepEqual(await above.tasks.fetch(), [same])

await tablet.database.write(() => same.update((one) => { one.description = 'Blue' }))
await tablet.database.write(() => above.update((one) => { one.description = 'Ours' }))
await tablet.sync()
await phone.sync()
assert.deepEqual([task.description, project.description], ['Blue', 'Ours'])
await phone.database.write(() => project.experimentalMarkAsDeleted())
await phone.sync()
await tablet.sync()
assert.deepEqual(await tablet.all('tasks'), [])
console.log('two phones hold the same')
