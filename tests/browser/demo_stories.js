// What a visitor of the demo tries, by clicks.
import assert from 'node:assert/strict'

const MERGED = / Merged 1 edited on both\.$/

/** What a phone pushed comes back in its next pull, and is nobody else's edit. */
export async function anEditOnOneIsNoMerge({ a, b }) {
  for (const [from, to] of [
    ['Bread', 'Brown bread'],
    ['Brown bread', 'Bread'],
  ]) {
    await a.rename(from, to)
    assert.doesNotMatch(await a.sync(), /Merged/)
  }
  assert.doesNotMatch(await b.sync(), /Merged/)
}

export async function editsOnBothStay(demo) {
  const { a, b } = demo
  await demo.bothOffline()
  await a.rename('Milk', 'Oat milk')
  await b.tick('Milk')
  assert.match(await b.sync(), /^Offline/)
  assert.deepEqual(await b.mark('Milk').getAttribute('title'), 'Not synced: is_completed')
  const said = await demo.bothBack()
  assert.deepEqual(
    said.map((text) => MERGED.test(text)),
    [false, true, false],
  )
  const [milk] = await demo.same()
  assert.deepEqual([milk.title, milk.isDone], ['Oat milk', true])
}

export async function theLastPushWins(demo) {
  const { a, b } = demo
  await demo.bothOffline()
  await a.rename('Bread', 'Rye bread')
  await b.rename('Bread', 'White bread')
  await a.turn('Online', true)
  await b.turn('Online', true)
  await a.sync()
  assert.match(await b.sync(), MERGED)
  await a.sync()
  assert.ok((await demo.titles()).includes('White bread'))
}

export async function theDeletionWins(demo) {
  const { a, b } = demo
  await demo.bothOffline()
  await a.remove('Apples')
  await b.writeNote('Apples', 'the red ones')
  assert.equal(await a.column.locator('.state').innerText(), 'offline · 1 not synced')
  await demo.bothBack()
  assert.ok(!(await demo.titles()).includes('Apples'))
}

export async function aLostAnswerDoublesNothing(demo) {
  const { a, b } = demo
  await a.add('Lemons')
  await a.turn('Lose next answer', true)
  assert.match(await a.sync(), /answer got lost/)
  assert.equal((await a.exchanges()).at(-1).outcome, 'lost')
  await a.mark('Lemons').waitFor()
  await a.sync()
  await b.sync()
  assert.equal((await demo.titles()).filter((title) => title === 'Lemons').length, 1)
}

/** Of two edits the server takes one; the other waits at its record, with the server's words. */
export async function aRefusalIsShownAtItsTask(demo) {
  const { a, b } = demo
  await a.writeNote('Lemons', '4111 1111 1111 1111')
  await a.add('Butter')
  assert.equal(await a.sync(), 'Synced: 1 sent. 1 refused: the list says why.')
  const said = 'A card number is not safe in a list: take it out.'
  assert.deepEqual(await a.refusals(), { Lemons: said })
  await a.mark('Lemons').waitFor()
  await a.mark('Butter').waitFor({ state: 'detached' })
  await b.sync()
  assert.deepEqual(await b.refusals(), {})
  assert.equal(await b.note('Lemons').inputValue(), '')
  assert.match(await a.sync(), /^Synced: .*\. 1 refused: the list says why\.$/) // at each sync, until it is mended
  return async () => {
    await a.writeNote('Lemons', 'two')
    await demo.syncBoth()
    assert.deepEqual(await a.refusals(), {})
    const { note } = (await demo.same()).find(({ title }) => title === 'Lemons')
    assert.equal(note, 'two')
  }
}

/** The stories play by themselves, and end as they say, whatever was done to the list before. */
export async function storiesAreShown(demo) {
  await demo.a.add('Milk')
  await demo.a.tick('Milk')
  for (const story of await demo.page.locator('.story').all()) {
    if ((await story.getAttribute('open')) === null) await story.locator('summary').click()
    await story.getByRole('button').click()
    const end = demo.page.locator('.caption [data-end]')
    await end.waitFor()
    assert.equal(await end.getAttribute('data-end'), 'As told.')
    await demo.page.getByRole('button', { name: 'Close' }).click()
  }
  await demo.same()
}

/** The second phone becomes somebody else's, is let in, and is taken out while it is offline. */
export async function twoPeopleShareAndPart(demo, look) {
  const { page, a, b } = demo
  const people = page.getByRole('switch', { name: 'Two people' })
  await people.click()
  assert.deepEqual(await b.tasks(), [])
  await a.add('Honey')
  await a.sync()
  const before = await a.tasks()
  await a.button('Invite Phone B').click()
  await b.button('Join').click()
  await a.button('Take B out').waitFor()
  await b.title('Honey').waitFor()
  assert.deepEqual(await b.tasks(), await a.tasks())
  await b.turn('Online', false)
  await b.add('Mint')
  await b.remove('Honey')
  await a.button('Take B out').click()
  await a.button('Invite Phone B').waitFor()
  await b.turn('Online', true)
  const said = '“Groceries” is no longer shared with this phone, and is gone from it. What was not synced (2) is stored nowhere.'
  assert.equal(await b.sync(), said)
  assert.deepEqual(await b.tasks(), [])
  await look()
  await a.sync()
  assert.deepEqual(await a.tasks(), before)
  await a.button('Invite Phone B').click()
  await b.button('Join').waitFor()
  await page.reload() // who is whose, and the invitation, are kept
  await b.button('Join').click()
  await b.title('Honey').waitFor()
  assert.deepEqual(await b.tasks(), before)
  await people.click()
  await demo.syncBoth()
  assert.deepEqual(await demo.same(), before)
}

/** A phone that sends each edit and syncs at news; the other one is used without a mouse. */
export async function byItselfAndByKeyboard(demo) {
  const { page, a, b } = demo
  await b.turn('Live', true)
  await a.column.getByPlaceholder('Add a task').focus()
  await page.keyboard.type('Salt')
  await page.keyboard.press('Enter')
  await a.title('Salt').focus()
  await page.keyboard.type('y things')
  await page.keyboard.press('Escape')
  await a.mark('Salt').waitFor()
  await a.button('Sync').focus()
  await page.keyboard.press('Space')
  await b.title('Salt').waitFor()
  await b.turn('Live', false)
  await demo.syncBoth()
  await demo.same()
}

/** As the page opens: what is done on one phone is seen on the other, and its log says by which event. */
export async function theOtherPhoneKnowsAtOnce({ a, b }, how) {
  await a.listens(how)
  await b.listens(how)
  const before = (await b.log()).length
  await a.add('Basil')
  await b.title('Basil').waitFor()
  await b.column.locator('li.heard', { hasText: 'event: news' }).first().waitFor()
  assert.deepEqual((await b.log()).slice(before, before + 2), ['news', '/sync/pull'])
  await a.mark('Basil').waitFor({ state: 'detached' })
  await b.tick('Basil')
  await a.column.locator('li.task:has(:checked)').waitFor()
}

/** A phone that was cut off listens again, and has what came meanwhile. */
export async function backOnlineItListensAgain({ a, b }, how) {
  await b.turn('Online', false)
  await b.listens('stopped')
  await a.add('Capers')
  await a.mark('Capers').waitFor({ state: 'detached' })
  await b.turn('Online', true)
  await b.listens(how)
  await b.title('Capers').waitFor()
}

/** A line of the wire opens to the JSON that travelled, and shows no secret. */
export async function linesOpenToTheirJson(demo) {
  const lines = demo.a.column.locator('.wire li')
  for (const line of await lines.all()) await line.locator('summary').click()
  const [push, , register] = await lines
    .locator('details')
    .evaluateAll((all) => all.map((details) => details.innerText))
  assert.match(push, /"title": "Milk"/)
  assert.match(push, /"timestamp": \d+/)
  assert.match(register, /Sent: nothing to show/)
  const secrets = await demo.page.evaluate(() => [
    ...Object.values(JSON.parse(localStorage.getItem('melon-demo-a'))),
    JSON.parse(localStorage.getItem('melon-demo-account')).password,
  ])
  const text = await demo.page.locator('body').innerText()
  assert.deepEqual(
    secrets.filter((secret) => text.includes(secret)),
    [],
  )
}

/** Another phone pushes between this one's pull and its push. */
export async function aFasterPhoneIsMet(demo) {
  const { page, a, b } = demo
  await a.add('Rice')
  await a.turn('Lose next answer', true)
  await a.sync()
  await b.sync()
  await b.rename('Rice', 'Wild rice')
  const before = await a.syncs()
  const faster = async (route) => {
    await b.sync()
    await route.continue()
  }
  await page.route('**/sync/push', faster, { times: 1 })
  await a.button('Sync').click()
  assert.match(await a.ended(before), /Another phone was faster: synced again/)
  const lines = await a.column.locator('.wire details').allTextContents()
  assert.ok(lines.some((text) => text.includes('"sync_conflict"')))
  await demo.syncBoth()
  assert.ok((await demo.titles()).includes('Wild rice'))
}

export async function aReloadKeepsAll(demo) {
  const { page, a } = demo
  await a.rename('Milk', 'Oat milk')
  await a.sync()
  await a.turn('Online', false)
  await a.add('<img src=x onerror=alert(1)>') // a title is text
  await a.mark('<img src=x onerror=alert(1)>').waitFor()
  await a.isOnDisk((text) => text.includes('onerror'))
  const before = await a.tasks()
  await page.reload()
  await a.mark('<img src=x onerror=alert(1)>').waitFor()
  assert.deepEqual(await a.tasks(), before)
  assert.equal(await page.locator('.tasks img').count(), 0)
  assert.deepEqual(await a.exchanges(), [])
  await a.rename('Oat milk', 'Milk')
  const [said] = await demo.syncBoth()
  assert.doesNotMatch(said, /Merged/) // it knows its own push
  const paths = (await a.exchanges()).map(({ path }) => path)
  assert.ok(!paths.includes('/auth/login'), 'its tokens are kept, too')
  await demo.same()
}

/** Two tabs would write over each other's database. */
export async function aSecondTabWaits(demo) {
  const { page } = demo
  const second = await page.context().newPage()
  await second.goto(`${demo.url}?live=off`)
  await second.getByText('open in another tab').waitFor()
  const titles = await demo.titles()
  await page.goto('about:blank')
  await second.getByLabel(`Title of ${titles[0]}`).first().waitFor()
  await second.close()
  await page.goto(`${demo.url}?pace=0&live=off`)
  await demo.a.title(titles[0]).waitFor()
}

export async function startingAfreshIsAnotherAccount(demo) {
  const account = () => demo.page.evaluate(() => localStorage.getItem('melon-demo-account'))
  const before = await account()
  await demo.page.getByRole('button', { name: 'Start afresh' }).click()
  await demo.page.waitForFunction(
    (old) => ![null, old].includes(localStorage.getItem('melon-demo-account')),
    before,
  )
  await demo.a.ended(0)
  await demo.b.ended(0)
  assert.deepEqual(await demo.titles(), ['Milk', 'Bread', 'Apples'])
  assert.notEqual(await account(), before)
}
