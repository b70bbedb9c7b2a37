// Three phones of a person, each on a network that loses, cuts and repeats at random, with work going on
// during their syncs. Nothing but the end is foreseen: all hold the same, what nobody deleted is there, and
// WatermelonDB never complained. MELON_SEEDS repeats a seed.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConflictError, NetworkError } from 'melon-sync'
import { assertConverged, phones } from './support.js'

const SEEDS = process.env.MELON_SEEDS?.split(',').map(Number) ?? [1, 2]
const ROUNDS = 6
const ACTS = ['lose', 'cut', 'halve', undefined, undefined, undefined]

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

class Story {
  written = 0
  kept = new Set() // created, and deleted by nobody

  constructor(seed) {
    this.random = random(seed)
  }

  pick(list) {
    return list[Math.floor(this.random() * list.length)]
  }

  /** One thing that a person does. */
  async act(phone) {
    const text = `text ${(this.written += 1)}`
    const ids = Object.keys((await phone.records()).projects)
    const choice = ids.length ? this.random() : 0
    const id = this.pick(ids)
    if (choice < 0.4) this.kept.add(await phone.create('projects', { name: text }))
    else if (choice < 0.65) await phone.edit('projects', id, { name: text })
    else if (choice < 0.9) await phone.edit('projects', id, { description: text })
    else {
      this.kept.delete(id)
      await phone.remove('projects', id)
    }
  }

  async sync(phone) {
    for (const path of ['/sync/pull', '/sync/push', '/auth/refresh']) {
      const during = () => this.act(phone)
      phone.network.on(path, this.pick([...ACTS, during]), this.pick(ACTS), this.pick(ACTS))
    }
    if (this.random() < 0.3) await phone.ageToken()
    const options = { pageSize: 3, partial: this.random() < 0.3 }
    try {
      await Promise.all([phone.sync(options), phone.sync(options)])
    } catch (error) {
      if (!(error instanceof NetworkError || error instanceof ConflictError)) throw error
    }
  }

  async tell() {
    const all = await phones(3, { retry: { attempts: 3, baseMs: 5, maxMs: 2_000 } })
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const phone of all) {
        for (let left = this.random() * 4; left > 0; left -= 1) await this.act(phone)
      }
      await Promise.all(all.filter(() => this.random() < 0.8).map((phone) => this.sync(phone)))
    }
    for (const phone of all) phone.network.calm()
    return all
  }
}

for (const seed of SEEDS) {
  test(`three phones on bad networks converge (seed ${seed})`, async () => {
    const story = new Story(seed)
    const all = await story.tell()
    const { projects } = await assertConverged(...all)
    assert.deepEqual(new Set(Object.keys(projects)), story.kept)
    for (const phone of all) {
      assert.ok(!phone.eventTypes().includes('signed_out'))
      assert.equal((await phone.client.verify(phone.database)).identical, true)
    }
  })
}
