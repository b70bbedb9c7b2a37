// A visit of the demo: node demo.js <visit>. Pictures of it go to the folder PICTURES.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { visiting } from './browser.js'
import { figuresAreTrue, fits, isLegible, watching } from './demo_checks.js'
import { Demo } from './demo_page.js'
import * as stories from './demo_stories.js'
import * as trouble from './demo_trouble.js'

const ORIGIN = process.env.MELON_URL
const WIDE = { width: 1400, height: 900 }
const NARROW = { width: 390, height: 844 }
// Chromium logs what the page tells its visitor about; IndexedDB's word is LokiJS's when it makes a
// database anew, and says of itself that it is no failure.
const EXPECTED = ['blocked by another connection', /Failed to load resource: .* (401|409|429) /]

// Of WatermelonDB, where the browser fails to read.
const UNREAD = ['transaction was aborted', 'Database failed to load', 'driver is not set up']

async function byHand(demo) {
  await stories.anEditOnOneIsNoMerge(demo)
  await stories.editsOnBothStay(demo)
  await picture(demo.page, 'merged')
  await stories.theLastPushWins(demo)
  await picture(demo.page, 'conflict')
  await stories.theDeletionWins(demo)
  await stories.aLostAnswerDoublesNothing(demo)
  await picture(demo.page, 'lost')
  const mend = await stories.aRefusalIsShownAtItsTask(demo)
  await isLegible(demo.page)
  await picture(demo.page, 'refused')
  await mend()
}

const VISITS = {
  async wide(demo, seen) {
    await figuresAreTrue(demo, seen)
    await stories.linesOpenToTheirJson(demo)
    await isLegible(demo.page)
    await picture(demo.page, 'opened')
    await byHand(demo)
    await stories.byItselfAndByKeyboard(demo)
    await stories.storiesAreShown(demo)
    await fits(demo.page, 20)
    await isLegible(demo.page)
  },

  async narrow(demo) {
    await demo.page.emulateMedia({ colorScheme: 'dark' })
    await picture(demo.page, 'first-dark')
    await byHand(demo)
    await stories.storiesAreShown(demo)
    await stories.twoPeopleShareAndPart(demo, async () => {
      await fits(demo.page, 44)
      await isLegible(demo.page)
      await picture(demo.page, 'parted')
    })
    await fits(demo.page, 44)
    await isLegible(demo.page)
  },

  async trouble(demo, _seen, complaints) {
    await stories.aFasterPhoneIsMet(demo)
    await trouble.anOldTokenIsRefreshed(demo)
    await trouble.aDeadSessionSignsInAgain(demo)
    await stories.aReloadKeepsAll(demo)
    await trouble.anUnreadableDiskLosesNothing(demo)
    for (const part of UNREAD) forget(complaints, part)
    await stories.aSecondTabWaits(demo)
    await stories.startingAfreshIsAnotherAccount(demo)
    await trouble.aServerThatIsDownIsTold(demo)
    await isLegible(demo.page)
    await picture(demo.page, 'down')
    forget(complaints, 'ERR_CONNECTION_REFUSED')
  },

  /** As it opens for a visitor, on a telephone. */
  async live(demo) {
    await stories.theOtherPhoneKnowsAtOnce(demo, 'stream')
    await stories.backOnlineItListensAgain(demo, 'stream')
    await fits(demo.page, 44)
    await isLegible(demo.page)
    await picture(demo.page, 'heard')
    await demo.same()
  },

  /** A browser whose answers cannot be read piece by piece. */
  async poll(demo) {
    await stories.theOtherPhoneKnowsAtOnce(demo, 'poll')
    await picture(demo.page, 'heard')
  },

  /** Nobody answers there. */
  async asking(demo, _seen, complaints) {
    await demo.a.listens('asking')
    await demo.b.listens('asking')
    await demo.a.add('Basil')
    await demo.b.title('Basil').waitFor()
    await picture(demo.page, 'asked')
    forget(complaints, 'ERR_CONNECTION_REFUSED')
  },

  async servers(demo, seen) {
    await figuresAreTrue(demo, seen)
    await stories.editsOnBothStay(demo)
    await trouble.tooManyCallsAreTold(demo)
    await picture(demo.page, 'limited')
  },
}

const name = process.argv[2]
const isLive = ['live', 'poll', 'asking'].includes(name)
const size = ['narrow', 'live'].includes(name) ? NARROW : WIDE
await visiting(ORIGIN, { ...size, also: process.env.MELON_LIVE }, async (page, complaints) => {
  page.setDefaultTimeout(60_000) // of a busy machine
  const seen = watching(page)
  const demo = new Demo(page, ORIGIN)
  if (name === 'poll') await page.addInitScript(() => delete Response.prototype.body)
  await demo.visit(isLive ? 'pace=0' : undefined)
  assert.deepEqual((await demo.a.tasks()).map(({ title }) => title), ['Milk', 'Bread', 'Apples'])
  if (!isLive) assert.deepEqual(await demo.titles(), ['Milk', 'Bread', 'Apples'])
  await picture(page, 'first')
  await VISITS[name](demo, seen, complaints)
  for (const part of EXPECTED) forget(complaints, part)
})
console.log(`${name}: as a visitor wishes`)

async function picture(page, what) {
  await page.screenshot({ path: join(process.env.PICTURES, `${name}-${what}.png`) })
}

/** What belongs to the visit is no complaint. */
function forget(complaints, part) {
  const others = complaints.filter((text) => text.search(part) < 0)
  complaints.splice(0, complaints.length, ...others)
}
