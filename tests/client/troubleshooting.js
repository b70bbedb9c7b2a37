// What the tests of docs/troubleshooting.md share: a sync with something wrong in it, and the page's
// messages, each printed by a test or not to be had here.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { test } from 'node:test'
import { Messages } from './guide.js'
import { takeLines } from './phone.js'

const require = createRequire(import.meta.url)
const { synchronize } = require('@nozbe/watermelondb/sync')

export const PAGE = 'docs/troubleshooting.md'

/** Sync as an app does, with something wrong in it. */
export function syncing(phone, more = {}) {
  const { pullChanges, pushChanges } = phone.client
  const own = { pullChanges, pushChanges, migrationsEnabledAtVersion: 1, ...more }
  return synchronize({ database: phone.database, ...own })
}

/** The messages of the chapters that `wanted` takes. */
export class Explained extends Messages {
  constructor(wanted) {
    super(PAGE, wanted)
  }

  /** What the client has logged, all of which is in the guide. */
  takeShown() {
    const lines = takeLines().filter((line) => !line.includes('option is now deprecated'))
    lines.forEach((line) => this.shows(line))
    return lines
  }

  /** It has logged a message with `part`, so many times. */
  logged(part, count = 1) {
    const lines = this.takeShown()
    assert.equal(lines.filter((line) => line.includes(part)).length, count, lines.join('\n'))
  }

  /**
   * The last test of a file: all were printed but those of native code and other engines. Of these
   * `elsewhere` tells the client's source, which has the words, or whose words they are.
   */
  testTheRest(elsewhere) {
    test('every message of the page was printed here, or cannot be', () => {
      assert.deepEqual(this.rest.sort(), Object.keys(elsewhere).sort())
      for (const [message, place] of Object.entries(elsewhere)) {
        if (place.includes('/')) assertInSource(message, place)
      }
    })
  }
}

function assertInSource(message, place) {
  const client = require.resolve('@nozbe/watermelondb/package.json').replace('package.json', '')
  const source = readFileSync(join(client, place), 'utf8')
  for (const part of message.split('…')) assert.ok(source.includes(part), `${place}: ${part}`)
}
