// Random work on the phones of two people, random losses, everything at once, and (with
// MELON_KILL, gunicorn's pid) workers killed in the middle of it. Nothing but the end is foreseen: all
// phones and a fresh one agree, no acknowledged edit is lost unless a later one overwrote it, and the
// client never complained. Runs under either conflict policy. MELON_SEEDS repeats a seed. With MELON_PAUSE,
// the name of a file, a server writes at random while it is not there, and jobs write back.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Account, syncPatiently } from './account.js'
import { Ledger, random } from './ledger.js'

const SEEDS = process.env.MELON_SEEDS?.split(',').map(Number) ?? [1, 2, 3]
const ROUNDS = 8
const MASTER = process.env.MELON_KILL
const PAUSE = process.env.MELON_PAUSE

class Chaos {
  count = 0
  ledger = new Ledger()

  constructor(seed, person) {
    this.name = `${seed}.${person}`
    this.random = random(seed * 1000 + person)
  }

  pick(list) {
    return list[Math.floor(this.random() * list.length)]
  }

  async create(phone, table, column, values) {
    const text = `${this.name}.${(this.count += 1)}`
    const id = await phone.create(table, { ...values, [column]: text })
    this.ledger.written(text, table, id, column)
  }

  async edit(phone, table, id, column, values = {}) {
    const text = `${this.name}.${(this.count += 1)}`
    this.ledger.written(text, table, id, column)
    await phone.edit(table, id, { ...values, [column]: text })
  }

  /** One thing that a user does on this phone. */
  async act(phone) {
    const { projects, tasks } = await phone.records()
    const project = this.pick(Object.keys(projects))
    const task = this.pick(Object.keys(tasks))
    const actions = [() => this.create(phone, 'projects', 'name', {})]
    if (project) {
      const addTask = () => this.create(phone, 'tasks', 'title', { project_id: project })
      actions.push(addTask, addTask, addTask)
      actions.push(() => this.edit(phone, 'projects', project, 'name'))
      if (this.random() < 0.4) actions.push(() => phone.remove('projects', project))
    }
    if (task) {
      actions.push(() => this.edit(phone, 'tasks', task, 'title'))
      actions.push(() => this.edit(phone, 'tasks', task, 'description', { is_completed: true }))
      if (project) actions.push(() => phone.edit('tasks', task, { project_id: project }))
      actions.push(() => phone.remove('tasks', task))
    }
    await this.pick(actions)()
  }

  async sync(phone) {
    if (this.random() < 0.2) await phone.restart()
    const loseAnswer = this.pick(['push', 'pull', undefined, undefined, undefined])
    const duringPush = this.random() < 0.3 ? () => this.act(phone) : undefined
    const sendTwice = this.random() < 0.2
    try {
      if (this.random() < 0.1) await phone.logout().then(() => phone.login())
      await syncPatiently(phone, { loseAnswer, duringPush, sendTwice })
    } catch (error) {
      const isLost = error.status === undefined || error.status >= 500
      // the answer to a logout was lost, and this is the next sync
      const isSignedOut = MASTER && error.status === 401
      if (isSignedOut) phone.token = undefined
      else if (!isLost || !(loseAnswer || MASTER)) throw error
    }
    if (!phone.token) await again(() => phone.login())
  }

  /** Kill a worker while the phones sync; gunicorn starts another one. */
  async kill() {
    await sleep(this.random() * 60)
    const children = execFileSync('pgrep', ['-P', MASTER]).toString().trim().split('\n')
    try {
      process.kill(Number(this.pick(children)), 'SIGKILL')
    } catch (error) {
      if (error.code !== 'ESRCH') throw error // the other person was faster
    }
  }

  async signUp() {
    this.account = new Account()
    for (const device of [{ deviceId: 'a' }, { deviceId: 'b', snippet: 'docs' }, { deviceId: 'c' }]) {
      await this.account.phone(device)
    }
  }

  /** What one person's phones go through. */
  async story() {
    const { phones } = this.account
    for (const phone of phones) phone.onPush = (changes) => this.ledger.pushing(changes)
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const phone of phones) {
        for (let left = this.random() * 4; left > 0; left -= 1) await this.act(phone)
      }
      const online = phones.filter(() => this.random() < 0.8)
      const killing = MASTER && this.random() < 0.3 ? [this.kill()] : []
      await Promise.all([...online.map((phone) => this.sync(phone)), ...killing])
    }
  }
}

/** While workers die, a call may have to be made again. */
async function again(call) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await call()
    } catch (error) {
      if (error.status || attempt === 20) throw error
      await sleep(100)
    }
  }
}

/** Nothing is left to be pushed, and the server has written what follows from it. */
async function settle(people) {
  writeFileSync(PAUSE, '')
  await sleep(500)
  for (const { account } of people) {
    for (const phone of account.phones) await syncPatiently(phone)
  }
  for (let waiting = -1; waiting !== 0; await sleep(50)) {
    waiting = await (await fetch(`${process.env.MELON_URL}/api/v1/waiting`)).json()
  }
}

for (const seed of SEEDS) {
  test(`the phones of two people at random converge (seed ${seed})`, async () => {
    const people = [new Chaos(seed, 1), new Chaos(seed, 2)]
    if (PAUSE) rmSync(PAUSE, { force: true })
    await Promise.all(people.map((chaos) => chaos.signUp()))
    await Promise.all(people.map((chaos) => chaos.story()))
    if (PAUSE) await settle(people)
    for (const { account, ledger } of people) {
      ledger.check(await again(() => account.converge()))
    }
  })
}
