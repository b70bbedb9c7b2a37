// Three people with five phones and two shared spaces, everything at once: they join, leave, are
// removed, get other roles, move what they have, lose answers; with MELON_KILL workers die. Whatever
// happens: who is out is told nothing of a space, in the end each phone holds what a new one of its
// account would, members hold the same, no acknowledged edit is lost, and nothing more is told.
// MELON_SEEDS chooses the stories, MELON_ROUNDS makes them longer, MELON_RECORD keeps what was said.
// tests/spaces/stock_chaos.py runs it.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Account, TIMES, app, syncPatiently } from './account.js'
import { Ledger, random } from './ledger.js'
import { expectComplaint } from './phone.js'

const SEEDS = process.env.MELON_SEEDS?.split(',').map(Number) ?? [1, 2]
const ROUNDS = Number(process.env.MELON_ROUNDS ?? 8)
const MASTER = process.env.MELON_KILL
const ROLES = ['owner', 'editor', 'editor', 'reader']
const PHONES = [2, 2, 1] // of each person
const STRING = { type: 'string' }
const APP = app(
  1,
  [
    {
      name: 'projects',
      columns: [
        { name: 'name', ...STRING },
        { name: 'description', ...STRING, isOptional: true },
        { name: 'space_id', ...STRING, isOptional: true },
        ...TIMES,
      ],
    },
    {
      name: 'tasks',
      columns: [
        { name: 'title', ...STRING },
        { name: 'description', ...STRING, isOptional: true },
        { name: 'is_completed', type: 'boolean' },
        { name: 'project_id', ...STRING, isIndexed: true },
        ...TIMES,
      ],
    },
  ],
  [],
)

// What it deleted and may not is told again; by then the client has forgotten it.
expectComplaint("but it doesn't exist locally")
// What left a space and came back between two pulls is new there; the client updates what it has.
expectComplaint('but it already exists locally. This may suggest')
let steps = 0

class Person {
  known = [] // spaces that it was ever in
  invited = new Set() // those, and some that it may have been in
  seen = new Set() // ids that it was told, or has made
  out = new Map() // space -> when it was out, as far as the answers to the calls say

  constructor(story, number) {
    this.story = story
    this.account = new Account({ app: APP })
    this.number = number
  }

  async signUp(count) {
    for (let n = 0; n < count; n += 1) {
      const phone = await this.account.phone({ deviceId: `${n}`, allowPartial: true })
      phone.onPush = (changes) => this.story.pushing(phone, changes)
      const { pullChanges, pushChanges } = phone.client
      phone.client = {
        pullChanges: (args) => this.pulling(pullChanges, args),
        pushChanges: async (args) => (phone.answer = await pushChanges(args)),
      }
    }
    this.id = (await this.call('GET', '/users/me')).id
  }

  get phone() {
    return this.account.phones[0]
  }

  call(method, path, body) {
    const headers = { 'Content-Type': 'application/json' }
    return this.phone.call(method, path, body ? { headers, body: JSON.stringify(body) } : {})
  }

  /** Of a space that it was out of before it asked, and has not come back to, nothing is told. */
  async pulling(pullChanges, args) {
    const before = new Map(this.out)
    const answer = await pullChanges(args)
    for (const [table, { deleted }] of Object.entries(answer.changes)) {
      for (const id of deleted) this.story.ledger.deleted(table, id, this)
    }
    for (const { created, updated } of Object.values(answer.changes)) {
      for (const { id } of [...created, ...updated]) this.seen.add(id)
    }
    const { created, updated } = answer.changes.projects
    for (const { id, space_id: space } of [...created, ...updated]) {
      assert.ok(space === null || this.invited.has(space), `${id} of ${space} is told to a stranger`)
      const isOut = before.has(space) && before.get(space) === this.out.get(space)
      assert.ok(!isOut, `${id} of ${space} is told to who is no member`)
    }
    return answer
  }
}

class Story {
  count = 0
  ledger = new Ledger()
  spaces = []
  people = []
  made = { projects: [], tasks: [] } // ids

  constructor(seed) {
    this.seed = seed
    this.random = random(seed)
  }

  pick(list) {
    return list[Math.floor(this.random() * list.length)]
  }

  text() {
    return `${this.seed}.${(this.count += 1)}`
  }

  /** A record that is refused was not acknowledged. */
  pushing(phone, changes) {
    const heard = this.ledger.pushing(changes)
    return async () => {
      if (!phone.allowPartial) return // nobody says what was not stored
      const rejected = phone.answer.experimentalRejectedIds ?? {}
      await heard((table, id) => !rejected[table]?.includes(id))
    }
  }

  async write(person, phone, table, id, column, values = {}) {
    const text = this.text()
    if (id) await phone.edit(table, id, { ...values, [column]: text })
    else id = await this.create(person, phone, table, { ...values, [column]: text })
    this.ledger.written(text, table, id, column, person)
  }

  /** Now and then with an id of somebody else's: ids belong to a space (contract, Spaces 2). */
  async create(person, phone, table, values) {
    const others = this.made[table].filter((id) => !person.seen.has(id))
    const forged = this.random() < 0.05 ? this.pick(others) : undefined
    if (forged) {
      this.ledger.twins.add(forged)
      // Deleted before it was sent, and then told: the client cannot know that it is another one.
      expectComplaint(`${table}#${forged}, but it already exists locally and is marked as deleted`)
    }
    const id = await phone.create(table, forged ? { ...values, id: forged } : values)
    this.made[table].push(id)
    person.seen.add(id)
    return id
  }

  async act(person, phone) {
    steps += 1
    const { projects, tasks } = await phone.records()
    const project = this.pick(Object.keys(projects))
    const task = this.pick(Object.keys(tasks))
    const space = this.pick([null, ...person.known])
    const actions = [() => this.write(person, phone, 'projects', undefined, 'name', { space_id: space })]
    if (project) {
      const add = () => this.write(person, phone, 'tasks', undefined, 'title', { project_id: project })
      actions.push(add, add, () => this.write(person, phone, 'projects', project, 'name'))
      actions.push(() => phone.edit('projects', project, { space_id: space }))
      if (this.random() < 0.3) actions.push(() => phone.remove('projects', project))
    }
    if (task) {
      actions.push(() => this.write(person, phone, 'tasks', task, 'title'))
      actions.push(() => this.write(person, phone, 'tasks', task, 'description', { is_completed: true }))
      actions.push(() => phone.remove('tasks', task))
      if (project) actions.push(() => phone.edit('tasks', task, { project_id: project }))
    }
    await this.pick(actions)()
  }

  async sync(person, phone) {
    steps += 1
    if (this.random() < 0.1) await phone.restart()
    const loseAnswer = this.pick(['push', 'pull', undefined, undefined, undefined])
    const duringPush = this.random() < 0.3 ? () => this.act(person, phone) : undefined
    const sendTwice = this.random() < 0.1
    try {
      await syncPatiently(phone, { loseAnswer, duringPush, sendTwice })
    } catch (error) {
      const isLost = error.name !== 'AssertionError' && (error.status ?? 500) >= 500
      if (!isLost || !(loseAnswer || MASTER)) throw error
    }
  }

  // --- people come and go

  async makeSpace() {
    const owner = this.pick(this.people)
    const { id } = await again(() => owner.call('POST', '/spaces', { name: 'Home' }))
    this.spaces.push(id)
    owner.known.push(id)
    owner.invited.add(id)
  }

  async comeAndGo() {
    steps += 1
    const space = this.pick(this.spaces)
    const person = this.pick(this.people)
    const members = await this.members(space)
    if (!members) return
    const owners = members.filter(({ role }) => role === 'owner').map((one) => one.user_id)
    const owner = this.people.find(({ id }) => id === owners[0])
    const path = `/spaces/${space}/members/${person.id}`
    if (!members.some((one) => one.user_id === person.id)) {
      await this.bring(owner, space, person)
    } else if (this.random() < 0.5) {
      await quietly(() => owner.call('PATCH', path, { role: this.pick(ROLES) }))
    } else {
      const left = await quietly(() => this.pick([owner, person]).call('DELETE', path))
      if (left !== undefined) person.out.set(space, performance.now())
    }
  }

  async bring(owner, space, person) {
    const role = this.pick(ROLES)
    const made = await quietly(() => owner.call('POST', `/spaces/${space}/invitations`, { role }))
    if (!made) return
    person.out.delete(space)
    person.invited.add(space)
    try {
      await again(() => person.call('POST', '/spaces/join', { token: made.token }))
      if (!person.known.includes(space)) person.known.push(space)
    } catch (error) {
      if (error.status !== 422) throw error // who made it owns the space no more
    }
  }

  async members(space) {
    for (const person of this.people) {
      const found = await quietly(() => person.call('GET', `/spaces/${space}/members`))
      if (found) return found
    }
    return undefined
  }

  /** Kill a worker; gunicorn starts another one. */
  async kill() {
    await sleep(this.random() * 60)
    const children = execFileSync('pgrep', ['-P', MASTER]).toString().trim().split('\n')
    try {
      process.kill(Number(this.pick(children)), 'SIGKILL')
    } catch (error) {
      if (error.code !== 'ESRCH') throw error
    }
  }

  // --- the story

  async play() {
    this.people = PHONES.map((_, number) => new Person(this, number))
    await Promise.all(this.people.map((person, n) => person.signUp(PHONES[n])))
    await this.makeSpace()
    await this.makeSpace()
    const phones = this.people.flatMap((person) =>
      person.account.phones.map((phone) => [person, phone]),
    )
    for (let round = 1; round <= ROUNDS; round += 1) {
      for (const [person, phone] of phones) {
        for (let left = this.random() * 4; left > 0; left -= 1) await this.act(person, phone)
      }
      const online = phones.filter(() => this.random() < 0.8)
      await Promise.all([
        ...online.map(([person, phone]) => this.sync(person, phone)),
        ...[1, 2].map(() => this.comeAndGo()),
        ...(MASTER && this.random() < 0.3 ? [this.kill()] : []),
      ])
      if (round % 10 === 0 || round === ROUNDS) await this.agree(phones)
    }
  }

  /** What was refused is given up; then everybody holds what there is to be held. */
  async agree(phones) {
    for (const [, phone] of phones) phone.allowPartial = false
    for (const [, phone] of [...phones, ...phones, ...phones]) {
      await again(() => syncPatiently(phone))
    }
    const shared = new Map() // space -> what its members hold of it
    for (const person of this.people) {
      const held = await this.agreed(person)
      const spaces = new Set((await again(() => person.call('GET', '/spaces'))).map(({ id }) => id))
      for (const space of spaces) {
        const mine = within(held, space, this.ledger.twins)
        if (shared.has(space)) assert.deepEqual(mine, shared.get(space), `members of ${space}`)
        shared.set(space, mine)
      }
      for (const { space_id: space } of Object.values(held.projects)) {
        assert.ok(space === null || spaces.has(space), `${space} is not of this account`)
      }
    }
    for (const [, phone] of phones) phone.allowPartial = true
  }

  async agreed({ account }) {
    const fresh = await again(() => account.phone())
    account.phones.pop()
    await again(() => fresh.sync())
    const held = await fresh.records()
    for (const task of Object.values(held.tasks)) {
      assert.ok(held.projects[task.project_id], `task ${task.id} is without its project`)
    }
    for (const [index, phone] of account.phones.entries()) {
      assert.deepEqual(await phone.records(), held, `phone ${index} differs from a new one`)
      assert.equal(await phone.hasUnsyncedChanges(), false, `phone ${index} is not done`)
      await again(() => phone.sync())
      for (const [table, lists] of Object.entries(phone.traffic.pulled.changes)) {
        assert.deepEqual(lists, { created: [], updated: [], deleted: [] }, `${table} come again`)
      }
    }
    this.ledger.check(held)
    return held
  }
}

/** The records of one space: {table: {id: columns}}. Of twins a member may see another one. */
function within({ projects, tasks }, space, twins) {
  const filter = (records, test) =>
    Object.fromEntries(
      Object.entries(records).filter(([id, record]) => !twins.has(id) && test(record)),
    )
  const isHere = ({ id, space_id: its }) => its === space && !twins.has(id)
  return {
    projects: filter(projects, isHere),
    tasks: filter(tasks, (task) => isHere(projects[task.project_id])),
  }
}

/** Undefined where it may not be, by now, or the answer was lost. */
async function quietly(call) {
  try {
    return (await call()) ?? null
  } catch (error) {
    if (error.name === 'AssertionError' || error.status === 422) throw error
    return undefined
  }
}

/** While workers die, a call may have to be made again. */
async function again(call) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await call()
    } catch (error) {
      if (error.name === 'AssertionError' || (error.status ?? 500) < 500 || attempt === 20) throw error
      await sleep(100)
    }
  }
}

for (const seed of SEEDS) {
  test(`the phones of three people who share converge (seed ${seed})`, async () => {
    await new Story(seed).play()
    console.log(`${steps} steps so far`)
  })
}
