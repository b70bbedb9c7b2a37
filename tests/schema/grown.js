// A phone with the printed app of version 1 is updated to version 2, which has two more tables.

import assert from 'node:assert/strict'
import { load, Phone } from './phone.js'

const [old, young] = [load(process.env.OLD), load(process.env.NEW)]
assert.deepEqual([old.schema.version, young.schema.version], [1, 2])
const person = { email: `${Date.now()}@example.com`, password: 'correct-horse-battery' }

const phone = await new Phone(old, person).signIn('register')
const project = await phone.create('projects', (one) => {
  one.name = 'Home'
})
const task = await phone.create('tasks', (one) => {
  one.title = 'Paint'
  one.project.set(project)
})
await phone.sync()

const tablet = await new Phone(young, person).signIn('login')
await tablet.sync()
const [ours] = await tablet.all('tasks')
const first = await tablet.create('comments', (one) => {
  one.body = 'Blue?'
  one.likes = 2
  one.score = 0.5
  one.remindAt = new Date(1_700_000_000_000)
  one.links = { seen: ['ü', 1.5, null], half: '\ud83d' }
  one.task.set(ours)
})
const reply = await tablet.create('comments', (one) => {
  one.body = 'Green'
  one.task.set(ours)
  one.answers.set(first)
})
const tag = await tablet.create('tags', (one) => {
  one.label = 'free'
})
await tablet.database.write(() => ours.update((one) => { one.description = 'By Sunday' }))
await tablet.sync()

await phone.sync() // it does not know the new tables
assert.equal(task.description, 'By Sunday')
await phone.create('tasks', (one) => {
  one.title = 'Offline, before the update'
  one.project.set(project)
})
await phone.update(young)
await phone.sync()
assert.deepEqual(phone.asked.migration, { from: 1, tables: ['comments', 'tags'], columns: [] })

const raw = (records) => Object.fromEntries(records.map(({ _raw }) => [_raw.id, _raw]))
assert.deepEqual(raw(await phone.all('comments')), raw([first, reply]))
assert.deepEqual(raw(await phone.all('tags')), raw([tag]))
const [painted] = (await phone.all('tasks')).filter(({ id }) => id === task.id)
const comments = await painted.comments.fetch()
assert.equal(comments.length, 2)
const [top, answer] = [first.id, reply.id].map((id) => comments.find((one) => one.id === id))
assert.deepEqual([top.likes, top.score, top.isPinned], [2, 0.5, false])
assert.equal(top.remindAt.getTime(), 1_700_000_000_000)
assert.equal(answer.remindAt, null)
assert.deepEqual(top.links, { seen: ['ü', 1.5, null], half: '\ud83d' })
assert.equal(answer.links, undefined) // so says WatermelonDB of a null
assert.equal(await top.answers.fetch(), null)
assert.equal(await answer.answers.fetch(), top)
assert.deepEqual(await top.comments.fetch(), [answer])
assert.equal((await answer.task.fetch()).title, 'Paint')
const [free] = await phone.all('tags')
assert.deepEqual([free.projectId, await free.project.fetch()], [null, null])

await tablet.sync()
assert.equal((await tablet.all('tasks')).length, 2, 'what waited came through the update')
console.log('the updated phone has it all')
