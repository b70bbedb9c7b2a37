// Random work on three phones, random losses, everything at once. Nothing but the end is foreseen:
// all phones agree, and the client never complained. Runs under either conflict policy.

import { test } from 'node:test'
import { Account, syncPatiently } from './account.js'

const SEEDS = process.env.MELON_SEEDS?.split(',').map(Number) ?? [1, 2, 3]
const ROUNDS = 8

/** Mulberry32: the same numbers for the same seed. */
function random(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

class Chaos {
  constructor(seed) {
    this.random = random(seed)
  }

  pick(list) {
    return list[Math.floor(this.random() * list.length)]
  }

  /** One thing that a user does on this phone. */
  async act(phone) {
    const { projects, tasks } = await phone.records()
    const project = this.pick(Object.keys(projects))
    const task = this.pick(Object.keys(tasks))
    const text = `${Math.floor(this.random() * 1000)}`
    const actions = [() => phone.create('projects', { name: text })]
    if (project) {
      actions.push(() => phone.create('tasks', { title: text, project_id: project }))
      actions.push(() => phone.create('tasks', { title: text, project_id: project }))
      actions.push(() => phone.edit('projects', project, { name: text }))
      if (this.random() < 0.5) actions.push(() => phone.remove('projects', project))
    }
    if (task) {
      actions.push(() => phone.edit('tasks', task, { title: text }))
      actions.push(() => phone.edit('tasks', task, { description: text, is_completed: true }))
      if (project) actions.push(() => phone.edit('tasks', task, { project_id: project }))
      actions.push(() => phone.remove('tasks', task))
    }
    await this.pick(actions)()
  }

  async sync(phone) {
    if (this.random() < 0.2) await phone.restart()
    if (this.random() < 0.1) await phone.logout().then(() => phone.login())
    const loseAnswer = this.pick(['push', 'pull', undefined, undefined, undefined])
    const duringPush = this.random() < 0.3 ? () => this.act(phone) : undefined
    try {
      await syncPatiently(phone, { loseAnswer, duringPush })
    } catch (error) {
      if (!loseAnswer || error.status) throw error
    }
  }
}

for (const seed of SEEDS) {
  test(`three phones at random converge (seed ${seed})`, async () => {
    const chaos = new Chaos(seed)
    const account = new Account()
    const phones = [
      await account.phone({ deviceId: 'a' }),
      await account.phone({ deviceId: 'b', snippet: 'docs' }),
      await account.phone({ deviceId: 'c' }),
    ]
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const phone of phones) {
        for (let left = chaos.random() * 4; left > 0; left -= 1) await chaos.act(phone)
      }
      const online = phones.filter(() => chaos.random() < 0.8)
      await Promise.all(online.map((phone) => chaos.sync(phone)))
    }
    await account.converge()
  })
}
